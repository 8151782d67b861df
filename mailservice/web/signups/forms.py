"""Forms of signing up: the owner's settings, and what a visitor fills in."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import addresses, signups, texts
from mailservice.web.forms import LANGUAGES, Form, checked

TEXT = Length(max=signups.LONGEST_TEXT)


class SettingsForm(Form):
    is_open = BooleanField(_l("People may sign up by this form"))
    title = StringField(
        _l("Title"),
        [
            DataRequired(),
            Length(max=signups.LONGEST_TITLE),
            checked(texts.one_line, field="title", longest=signups.LONGEST_TITLE),
        ],
    )
    text = TextAreaField(
        _l("What you write about"),
        [Optional(), TEXT, checked(texts.many_lines, field="text", longest=signups.LONGEST_TEXT)],
    )
    consent_text = TextAreaField(
        _l("What people agree to"),
        [DataRequired(), TEXT, checked(texts.many_lines, field="consent_text", longest=signups.LONGEST_TEXT)],
    )
    language = SelectField(_l("Language of the form"), choices=LANGUAGES)


class SignUpForm(Form):
    """`website` is a trap: people do not see it."""

    class Meta:
        csrf = False  # other sites post here; the confirmation by letter stands for the token

    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST), checked(addresses.parse)])
    full_name = StringField(
        _l("Name"),
        [
            Optional(),
            Length(max=signups.LONGEST_NAME),
            checked(texts.one_line, field="full_name", longest=signups.LONGEST_NAME),
        ],
    )
    website = StringField()
    shown = StringField()
