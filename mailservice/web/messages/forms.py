"""The form of a message."""

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired

from mailservice.web.forms import Form

REQUIRED = DataRequired(_l("This cannot be empty."))


class MessageForm(Form):
    subject = StringField(_l("Subject"), validators=[REQUIRED])
    body = TextAreaField(_l("Text"), validators=[REQUIRED])
