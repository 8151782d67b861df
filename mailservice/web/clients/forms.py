"""The form of a client."""

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import addresses, clients, texts
from mailservice.web.forms import Form, checked


class ClientForm(Form):
    email = StringField(_l("E-mail"), [DataRequired(), Length(max=addresses.LONGEST), checked(addresses.parse)])
    full_name = StringField(
        _l("Full name"),
        [
            Optional(),
            Length(max=clients.LONGEST_NAME),
            checked(texts.one_line, field="full_name", longest=clients.LONGEST_NAME),
        ],
    )
    comment = TextAreaField(
        _l("Comment"),
        [
            Optional(),
            Length(max=clients.LONGEST_COMMENT),
            checked(texts.many_lines, field="comment", longest=clients.LONGEST_COMMENT),
        ],
    )
