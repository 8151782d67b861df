"""The forms of the desk: a reason, and a role with the right to write the blog."""

from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, SelectField, StringField
from wtforms.validators import DataRequired, Length, Optional

from mailservice.services import oversight
from mailservice.web.forms import Form, checked, options
from mailservice.web.manager.words import ROLES

LONGEST = Length(max=oversight.LONGEST_REASON)


class ActForm(Form):
    reason: StringField

    @property
    def why(self) -> str:
        return self.reason.data or ""


class ReasonForm(ActForm):
    reason = StringField(_l("Why"), [DataRequired(), LONGEST, checked(oversight.checked_reason)])


class UndoForm(ActForm):
    reason = StringField(_l("Why"), [Optional(), LONGEST, checked(oversight.checked_reason)])


class RoleForm(Form):
    role = SelectField(_l("Role"), choices=options(ROLES.items()))
    is_editor = BooleanField(_l("Writes the blog"))
