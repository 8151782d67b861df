"""Texts that people type: what may stand in a line (a name, a subject) and in a longer text."""

from __future__ import annotations

import re
import unicodedata

from flask_babel import gettext as _
from flask_babel import ngettext

from mailservice.errors import Invalid

ENCODED_WORD = re.compile(r"=\?[^?\s]*\?[^?\s]*\?.*\?=", re.DOTALL)  # RFC 2047: may turn into headers
SEPARATORS = "\u2028\u2029"
BIDI_OVERRIDES = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # make a text read as another


def one_line(text: str | None, *, field: str, longest: int) -> str:
    """`text` without the spaces around it, fit for a header; Invalid beside `field` otherwise."""
    text = (text or "").strip()
    _check_length(text, field, longest)
    if any(_is_control(c) or c in SEPARATORS or c in BIDI_OVERRIDES for c in text):
        raise Invalid(_("Line breaks and control characters are not possible here."), field=field)
    if ENCODED_WORD.search(text):
        raise Invalid(_("A text of the form “=?…?=” is not possible here."), field=field)
    return text if _is_visible(text) else ""


def many_lines(text: str | None, *, field: str, longest: int) -> str:
    """`text` with \\n as its only line break; Invalid beside `field` when it holds control characters."""
    text = (text or "").replace("\r\n", "\n").replace("\r", "\n")
    _check_length(text, field, longest)
    if any(_is_control(c) and c not in "\n\t" for c in text):
        message = _("The text holds control characters. Delete them or paste it as plain text.")
        raise Invalid(message, field=field)
    return text


def required(text: str, *, field: str) -> str:
    """`text`, unless it is blank: then Invalid."""
    if not _is_visible(text):
        raise Invalid(_("This cannot be empty."), field=field)
    return text


def search_words(text: str | None) -> str:
    """What was typed into a search box, as something a database takes: never an error."""
    kept = "".join(" " if _is_control(c) else c for c in (text or "")[:200])
    return " ".join(kept.split())


def _check_length(text: str, field: str, longest: int) -> None:
    if len(text) > longest:
        message = ngettext(
            "This is too long: at most %(num)d character.",
            "This is too long: at most %(num)d characters.",
            longest,
        )
        raise Invalid(message, field=field)


def _is_visible(text: str) -> bool:
    """Whether there is more than spaces and characters without a shape (a zero-width space, a joiner)."""
    return any(not c.isspace() and unicodedata.category(c) != "Cf" for c in text)


def _is_control(character: str) -> bool:
    """Control characters and lone surrogates (PostgreSQL takes no NUL, UTF-8 no surrogate)."""
    return unicodedata.category(character) in {"Cc", "Cs"}
