"""From a message (subject, preheader and body of some kind) to the texts of a letter, with their holes still open.

A hole passes through Markdown, styles and sanitising as a word that no text can foresee, and is filled at the very
end: so a client's data are never markup. To look for the word in the text would not do: Markdown and HTML make
letters of entities.
"""

from __future__ import annotations

import html
import re
import secrets
from dataclasses import dataclass
from functools import cache, lru_cache

from flask_babel import get_locale
from flask_babel import gettext as _
from markdown_it import MarkdownIt

from mailservice.models import MessageKind
from mailservice.sending import fields
from mailservice.sending.composing import page
from mailservice.sending.composing.page import Page, TooHeavy
from mailservice.sending.composing.reading import Link, Picture, Reading
from mailservice.sending.fields import FieldError, Hole, Part, Values

LONGEST = {MessageKind.MARKDOWN: 20_000, MessageKind.HTML: 200_000, MessageKind.PLAIN: 100_000}  # characters
UNSUBSCRIBE = "unsubscribe_url"
FOOTER = (
    '<p style="margin:16px 0 0;padding:0 16px;color:#5b6672;font:13px/1.5 Arial,sans-serif;text-align:center">'
    '<a href="{url}" style="color:#5b6672">{label}</a></p>'
)
# Invisible; the blanks keep the text below it out of the line in a list of letters.
PREHEADER = (
    '<div style="display:none;max-height:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px">{text}'
    + "&#847;&zwnj;&nbsp;" * 40
    + "</div>"
)


@dataclass(frozen=True)
class Content:
    """Subject, text part and HTML part as pieces and holes; the HTML pieces are HTML already."""

    subject: list[Part]
    text: list[Part]
    html: list[Part]


@dataclass(frozen=True)
class Draft:
    """A content, and what is worth a look in it."""

    content: Content
    preheader: tuple[Part, ...]
    links: tuple[Link, ...]  # those that the writer set; not the one to unsubscribe
    pictures: tuple[Picture, ...]
    left_out: tuple[str, ...]  # elements that may not stand in a letter
    has_own_link: bool  # to unsubscribe


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
    preheader: str = ""


def compile_content(
    subject: str, body: str, *, kind: MessageKind = MessageKind.MARKDOWN, preheader: str = ""
) -> Content:
    """Raises FieldError where a merge field is not one of ours or stands where it must not, and TooHeavy."""
    return draft(subject, body, kind=kind, preheader=preheader).content


def draft(subject: str, body: str, *, kind: MessageKind = MessageKind.MARKDOWN, preheader: str = "") -> Draft:
    """As `compile_content`, with more to look at. Made once for a text that is asked for again at once."""
    return _draft(subject, body, kind, preheader, _("Unsubscribe"), str(get_locale() or "en"))


@lru_cache(maxsize=16)
def _draft(subject: str, body: str, kind: MessageKind, preheader: str, label: str, lang: str) -> Draft:
    subject_parts, before = _short(subject), _short(preheader)
    marks = Marks(fields.parse(_with_loose_braces(body) if kind is MessageKind.HTML else body))
    made = _page(kind, marks)
    reading = Reading(made.body)
    _refuse_in_attributes(marks, reading, made.styles)
    has_own_link = marks.has_link(made.body)
    footer = "" if has_own_link else FOOTER.format(url=marks.add(Hole(UNSUBSCRIBE)), label=html.escape(label))
    whole = page.lay_out(
        made, own_looks=kind is MessageKind.MARKDOWN, lang=lang, preheader=_hidden(before, marks), footer=footer
    )
    text = marks.parts if kind is MessageKind.PLAIN else marks.split(reading.text)
    if not any(isinstance(part, Hole) and part.name == UNSUBSCRIBE for part in text):
        text = [*text, f"\n\n-- \n{label}: ", Hole(UNSUBSCRIBE), "\n"]
    links = tuple(link for link in reading.links if not marks.has_link(link.url))
    content = Content(subject_parts, text, marks.split(whole))
    return Draft(content, tuple(before), links, tuple(reading.pictures), made.left_out, has_own_link)


class Marks:
    """The holes of a text as words of their own in it."""

    def __init__(self, parts: list[Part]):
        self.parts = parts
        self.word = f"q{secrets.token_hex(8)}q"
        self.holes: list[Hole] = []
        self.source = "".join(part if isinstance(part, str) else self.add(part) for part in parts)

    def add(self, hole: Hole) -> str:
        self.holes.append(hole)
        return f"{self.word}{len(self.holes) - 1}x"

    @property
    def links(self) -> list[str]:
        """The words that stand for the link to unsubscribe."""
        return [f"{self.word}{number}x" for number, hole in enumerate(self.holes) if hole.name == UNSUBSCRIBE]

    def split(self, text: str) -> list[Part]:
        pieces = re.split(rf"{self.word}(\d+)x", text)
        found = [self.holes[int(piece)] if number % 2 else piece for number, piece in enumerate(pieces)]
        return [part for part in found if part != ""]

    def has_link(self, text: str) -> bool:
        """Whether the link to unsubscribe is in the text."""
        return any(isinstance(part, Hole) and part.name == UNSUBSCRIBE for part in self.split(text))


def _with_loose_braces(body: str) -> str:
    """Braces that meet in a style sheet are no fields."""

    def loosen(found: re.Match[str]) -> str:
        return re.sub(r"([{}])(?=\1)", r"\1 ", found[0])

    return re.sub(r"<(style|script)\b.*?</\1", loosen, body, flags=re.DOTALL | re.IGNORECASE)


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables; raw HTML stays text, and line breaks are kept as people typed them."""
    return MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])


def _page(kind: MessageKind, marks: Marks) -> Page:
    match kind:
        case MessageKind.MARKDOWN:
            return page.of_markdown(_markdown().render(marks.source))
        case MessageKind.HTML:
            return page.of_html(marks.source)
        case MessageKind.PLAIN:
            return page.of_plain(marks.source, hole=marks.word, links=marks.links)


def _short(text: str) -> list[Part]:
    """A subject or a preheader: no link has a place there."""
    parts = fields.parse(text)
    if any(isinstance(part, Hole) and part.name == UNSUBSCRIBE for part in parts):
        raise FieldError("{{ unsubscribe_url }}", unknown=False)
    return parts


def _hidden(preheader: list[Part], marks: Marks) -> str:
    if not preheader:
        return ""
    inner = "".join(html.escape(part) if isinstance(part, str) else marks.add(part) for part in preheader)
    return PREHEADER.replace("{text}", inner)


def _refuse_in_attributes(marks: Marks, reading: Reading, styles: str) -> None:
    """A client's name or comment as a link's address would let data choose where the link leads."""
    for name, value in [*reading.attributes, ("style", styles)]:
        holes = [part for part in marks.split(value) if isinstance(part, Hole)] if marks.word in value else []
        is_whole_link = name == "href" and marks.split(value) == holes and [h.name for h in holes] == [UNSUBSCRIBE]
        if holes and not is_whole_link and name not in ("alt", "title"):
            raise FieldError("{{ " + holes[0].name + " }}", unknown=False)


def check(subject: str, body: str, *, kind: MessageKind = MessageKind.MARKDOWN, preheader: str = "") -> list[Problem]:
    """What keeps a message from being saved: fields that are not ours, braces that do not close, too much of it."""
    problems = []
    for field, text in (("subject", subject), ("preheader", preheader)):
        try:
            _short(text)
        except FieldError as error:
            problems.append(Problem(field, _say(error)))
    try:
        draft("", body, kind=kind)
    except FieldError as error:
        problems.append(Problem("body", _say(error)))
    except TooHeavy:
        problems.append(
            Problem(
                "body",
                _(
                    "This is too complicated for a letter: at most %(tags)d elements, %(deep)d within one another, "
                    "and few styles for many of them.",
                    tags=page.MOST_TAGS,
                    deep=page.DEEPEST,
                ),
            )
        )
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


def preview(
    subject: str,
    body: str,
    *,
    full_name: str,
    email: str,
    comment: str,
    kind: MessageKind = MessageKind.MARKDOWN,
    preheader: str = "",
) -> Preview:
    """The message as one client would read it. Raises FieldError and TooHeavy."""
    made = draft(subject, body, kind=kind, preheader=preheader)
    values = Values(full_name, email, comment, "#")
    return Preview(
        subject=fields.fill(made.content.subject, values),
        html=fields.fill(made.content.html, values, html.escape),
        text=fields.fill(made.content.text, values),
        preheader=fields.fill(made.preheader, values),
    )
