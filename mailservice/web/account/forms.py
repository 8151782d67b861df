"""Forms of one's own account. What changes who may sign in asks for the present password."""

from flask_babel import lazy_gettext as _l
from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import accounts, addresses, passwords, texts
from mailservice.web.forms import LANGUAGES, Form, checked

REQUIRED = DataRequired(_l("This cannot be empty."))


class ProfileForm(Form):
    full_name = StringField(
        _l("Name"),
        [Optional(), checked(texts.one_line, field="full_name", longest=accounts.LONGEST_NAME)],
        description=_l("Your clients see it when they answer your letters."),
    )
    language = SelectField(_l("Language"), choices=LANGUAGES)
    time_zone = StringField(_l("Time zone"), [REQUIRED])


class PasswordForm(Form):
    current_password = PasswordField(_l("Current password"), [REQUIRED, Length(max=passwords.LONGEST)])


class NewPasswordForm(PasswordForm):
    password = PasswordField(_l("New password"), [REQUIRED, Length(max=passwords.LONGEST)])


class AddressForm(PasswordForm):
    email = StringField(_l("New e-mail"), [REQUIRED, Length(max=addresses.LONGEST), checked(addresses.parse)])
