"""As whom a message is looked at, from what the page asks; and what the preview shows of it."""

from __future__ import annotations

from typing import Any, NamedTuple

from flask import current_app, make_response, request
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response

from mailservice.models import Message, MessageKind
from mailservice.sending import content
from mailservice.sending.content import Preview
from mailservice.services import advice, messages, readers, texts
from mailservice.services.readers import Reader, Sample

# The framed letter may look as it likes and load pictures; it runs nothing and is framed by us alone.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox"
)

NOTHING = "<!doctype html><meta charset=utf-8><p style='font:15px sans-serif;color:#5b6672;padding:16px'>{}</p>"


class Seen(NamedTuple):
    """What was asked for, and who it came to be."""

    sample: Sample
    words: str
    reader: Reader
    is_missing: bool  # there is no such client: the example stands in

    @property
    def query(self) -> dict[str, str]:
        """For the address of the frame."""
        asked = {"as": self.sample.value, "who": self.words}
        return {} if self.sample is Sample.EXAMPLE else {name: value for name, value in asked.items() if value}


class Look(NamedTuple):
    """`preview` is None where nothing can be shown: then the advice says why."""

    seen: Seen
    preview: Preview | None
    advice: list[advice.Advice]


def seen() -> Seen:
    """By `as` and `who` in the address or in the form."""
    asked = request.values.get("as", "")
    sample = Sample(asked) if asked in set(Sample) else Sample.EXAMPLE
    words = texts.search_words(request.values.get("who"))
    found = readers.find(current_user, words) if sample is Sample.CLIENT and words else None
    reader = found or (readers.emptiest() if sample is Sample.EMPTIEST else readers.example(current_user))
    return Seen(sample, words, reader, is_missing=sample is Sample.CLIENT and bool(words) and found is None)


def saved(message: Message) -> Look:
    return _look(message.subject, message.body, message.kind, message.preheader)


def draft(values: dict[str, Any]) -> Look:
    """Of what stands in the form."""
    problems = messages.problems(**values, unfinished=True)
    if problems:
        return Look(seen(), None, [advice.Advice(problem.message) for problem in problems])
    subject, preheader, body = messages.cleaned(**{name: values[name] for name in ("subject", "preheader", "body")})
    return _look(subject, body, values["kind"], preheader)


def _look(subject: str, body: str, kind: MessageKind, preheader: str) -> Look:
    shown = seen()
    public_url = str(current_app.config["SETTINGS"].public_url)
    try:
        preview = content.preview(subject, body, **shown.reader._asdict(), kind=kind, preheader=preheader)
        found = advice.on(subject, body, kind=kind, preheader=preheader, public_url=public_url)
    except (content.FieldError, content.TooHeavy) as error:  # saved under rules that held before
        return Look(shown, None, [advice.Advice(str(error))])
    return Look(shown, preview, found)


def frame(look: Look) -> Response:
    """The letter's page alone, under a policy of its own."""
    wait = _("As soon as the text can become a letter, it is shown here.")
    response = make_response(look.preview.html if look.preview else NOTHING.format(wait))
    response.headers["Content-Security-Policy"] = POLICY
    return response
