"""From a message (subject and Markdown) to the three texts of a letter, with their holes still open."""

from __future__ import annotations

import html
import re
import secrets
from dataclasses import dataclass
from functools import cache

from flask_babel import gettext as _
from markdown_it import MarkdownIt

from mailservice.sending import fields
from mailservice.sending.fields import FieldError, Hole, Part, Values

LAYOUT = (
    '<!doctype html><html><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    '<body style="margin:0;padding:24px 12px;background:#f4f4f2;color:#17212b;'
    "font:16px/1.55 -apple-system,'Segoe UI',Roboto,Arial,sans-serif\">"
    '<div style="max-width:600px;margin:0 auto;padding:24px;background:#fff;border-radius:8px">{body}</div>'
    '<p style="max-width:600px;margin:16px auto 0;padding:0 24px;color:#5b6672;font-size:13px">'
    '<a href="{url}" style="color:#5b6672">{label}</a></p></body></html>'
)


@dataclass(frozen=True)
class Content:
    """Subject, text part and HTML part as pieces and holes; the HTML pieces are HTML already."""

    subject: list[Part]
    text: list[Part]
    html: list[Part]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a message, and beside which field to say it."""

    field: str
    message: str


@dataclass(frozen=True)
class Preview:
    subject: str
    html: str
    text: str


def compile_content(subject: str, body: str) -> Content:
    """Raises FieldError where a merge field is not one of ours or stands where it must not."""
    subject_parts = fields.parse(subject)
    for part in subject_parts:
        if isinstance(part, Hole) and part.name == "unsubscribe_url":
            raise FieldError("{{ unsubscribe_url }}", unknown=False)
    body_parts = fields.parse(body)
    label = _("Unsubscribe")
    text = list(body_parts)
    html_parts = _html(body_parts, label)
    if Hole("unsubscribe_url") not in body_parts:
        text += [f"\n\n-- \n{label}: ", Hole("unsubscribe_url"), "\n"]
    return Content(subject_parts, text, html_parts)


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables; raw HTML stays text, and line breaks are kept as people typed them."""
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


def _html(body: list[Part], label: str) -> list[Part]:
    """Markdown knows nothing of holes, so each passes through as a word that no text can foresee.

    To look for the word in the text would not do: Markdown makes letters of entities and of %XX.
    """
    holes = [part for part in body if isinstance(part, Hole)]
    mark = f"q{secrets.token_hex(8)}q"
    numbers = iter(range(len(holes)))
    source = "".join(part if isinstance(part, str) else f"{mark}{next(numbers)}x" for part in body)
    page = LAYOUT.replace("{url}", f"{mark}{len(holes)}x").replace("{label}", html.escape(label))
    page = page.replace("{body}", _markdown().render(source))  # last: what people write is not searched for more
    holes.append(Hole("unsubscribe_url"))
    pieces = re.split(rf"{mark}(\d+)x", page)
    parts: list[Part] = []
    for position, piece in enumerate(pieces):
        if position % 2:
            parts.append(holes[int(piece)])
        elif piece:
            parts.append(piece)
    _refuse_in_addresses(parts)
    return parts


def _refuse_in_addresses(parts: list[Part]) -> None:
    """A client's name or comment as a link's address would let data choose where the link leads."""
    inside = at_start = False
    for part in parts:
        if isinstance(part, Hole):
            if inside and not (at_start and part.name == "unsubscribe_url"):
                raise FieldError("{{ " + part.name + " }}", unknown=False)
        elif '"' in part:
            inside = re.search(r'(?:href|src)="[^"]*$', part) is not None
        at_start = isinstance(part, str) and part.endswith('="')


def check(subject: str, body: str) -> list[Problem]:
    """What keeps a message from being saved: fields that are not ours, braces that do not close."""
    problems = []
    for field, args in (("subject", (subject, "")), ("body", ("", body))):
        try:
            compile_content(*args)
        except FieldError as error:
            problems.append(Problem(field, _say(error)))
    return problems


def _say(error: FieldError) -> str:
    if error.unknown:
        return _(
            "There is no field %(field)s. Fields: %(known)s.",
            field=error.fragment,
            known=", ".join("{{ " + name + " }}" for name in fields.NAMES),
        )
    return _(
        "“%(fragment)s” cannot stand here: check the braces and where the field is.",
        fragment=error.fragment,
    )


def preview(subject: str, body: str, *, full_name: str, email: str, comment: str) -> Preview:
    """The message as one client would read it. Raises FieldError."""
    content = compile_content(subject, body)
    values = Values(full_name, email, comment, "#")
    return Preview(
        subject=fields.fill(content.subject, values),
        html=fields.fill(content.html, values, html.escape),
        text=fields.fill(content.text, values),
    )
