"""The forms of a message, of a test letter and of a picture."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField
from wtforms import RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired

from mailservice.models import Message, MessageKind
from mailservice.sending import content
from mailservice.services import addresses, messages
from mailservice.web.forms import Form, checked, options

REQUIRED = DataRequired(_l("This cannot be empty."))
KINDS = {
    MessageKind.MARKDOWN: _l("Markdown"),
    MessageKind.HTML: _l("HTML of your own"),
    MessageKind.PLAIN: _l("Plain text"),
}


class MessageForm(Form):
    kind = RadioField(_l("Written in"), choices=options(KINDS.items()), default=MessageKind.MARKDOWN.value)
    subject = StringField(_l("Subject"), validators=[REQUIRED])
    preheader = StringField(_l("Preview line"))
    body = TextAreaField(_l("Text"), validators=[REQUIRED])

    @property
    def chosen(self) -> MessageKind:
        """What is asked for, whatever the form says."""
        return MessageKind(self.kind.data) if self.kind.data in set(MessageKind) else MessageKind.MARKDOWN

    def values(self) -> dict[str, Any]:
        texts = {name: self[name].data or "" for name in ("subject", "preheader", "body")}
        return {"kind": self.chosen, **texts}

    def start(self, message: Message | None) -> None:
        """A message's own words, when the form was not sent yet."""
        if message and not self.is_submitted():
            self.kind.data = message.kind.value

    def validate(self, extra_validators: Any = None) -> bool:
        """All that is wrong, at once."""
        is_valid = bool(super().validate(extra_validators))
        for problem in messages.problems(**self.values()):
            field = self[problem.field]
            if not field.errors:
                field.errors = [problem.message]
                is_valid = False
        return is_valid

    @property
    def longest(self) -> dict[str, int]:
        """Characters, by kind."""
        return {kind.value: longest for kind, longest in content.LONGEST.items()}


class TestForm(Form):
    __test__ = False  # of letters, not of code
    email = StringField(_l("Send it to"), validators=[REQUIRED, checked(addresses.parse)])


class PictureForm(Form):
    image = FileField(_l("Picture"), validators=[DataRequired(_l("Choose a file."))])
