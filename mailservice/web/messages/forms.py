"""The form of a message."""

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired

from mailservice.services import messages, texts
from mailservice.web.forms import Form, checked

REQUIRED = DataRequired(_l("This cannot be empty."))


class MessageForm(Form):
    subject = StringField(
        _l("Subject"),
        validators=[
            REQUIRED,
            checked(texts.one_line, field="subject", longest=messages.LONGEST_SUBJECT),
            checked(messages.check_fields, field="subject"),
        ],
    )
    body = TextAreaField(
        _l("Text"),
        validators=[
            REQUIRED,
            checked(texts.many_lines, field="body", longest=messages.LONGEST_BODY),
            checked(messages.check_fields, field="body"),
        ],
    )
