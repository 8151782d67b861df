"""Forms of the accounts. What they check here is only what a browser can say at once; services decide."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, HiddenField, PasswordField, StringField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import accounts, addresses, passwords, texts
from mailservice.web.forms import Form, checked


class RegisterForm(Form):
    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST), checked(addresses.parse)])
    full_name = StringField(
        _l("Name"),
        [
            Optional(),
            Length(max=accounts.LONGEST_NAME),
            checked(texts.one_line, field="full_name", longest=accounts.LONGEST_NAME),
        ],
    )
    password = PasswordField(_l("Password"), [DataRequired(), Length(max=passwords.LONGEST)])
    time_zone = HiddenField()

    def validate_password(self, field: Field) -> None:
        checked(passwords.acceptable, email=self.email.data or "")(self, field)


class SignInForm(Form):
    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST)])
    password = PasswordField(_l("Password"), [DataRequired(), Length(max=passwords.LONGEST)])
    remember = BooleanField(_l("Stay signed in on this device"))
    next = HiddenField()


class EmailForm(Form):
    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST)])


class NewPasswordForm(Form):
    password = PasswordField(_l("New password"), [DataRequired(), Length(max=passwords.LONGEST)])


class ConfirmForm(Form):
    """Only the token against forgery: opening a link must change nothing."""
