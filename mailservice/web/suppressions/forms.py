"""Forms of the stop list: addresses to put on it, and why one is taken off."""

from flask_babel import lazy_gettext as _l
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import suppressions, texts
from mailservice.web.forms import Form, checked

NOTE = {"field": "note", "longest": suppressions.LONGEST_NOTE}


class AddForm(Form):
    pasted = TextAreaField(_l("Addresses"), [DataRequired()])
    note = StringField(_l("Note"), [Optional(), Length(max=suppressions.LONGEST_NOTE), checked(texts.one_line, **NOTE)])


class LiftForm(Form):
    note = StringField(_l("Why"), [DataRequired(), Length(max=suppressions.LONGEST_NOTE)])
