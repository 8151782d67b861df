"""Merge fields: a fixed set of holes in a user's text, each with an optional default.

`{{ first_name }}` or `{{ first_name | friend }}`. A user's text is never run as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

NAMES = ("full_name", "first_name", "email", "comment", "unsubscribe_url")
FIELD = re.compile(r"\{\{\s*([A-Za-z_]+)\s*(?:\|([^{}|]*))?\}\}")
PATRONYMIC = ("вич", "ьич", "мич", "вна", "чна", "шна", "vich", "vna", "ichna")
# Looked at first, since it costs less: few names of three words end so and are no patronymic.
ITS_LAST = frozenset("".join(ending[-1] + ending[-1].upper() for ending in PATRONYMIC))


class Values:
    """What fills the holes of one letter; its attributes are NAMES."""

    __slots__ = NAMES

    def __init__(self, full_name: str, email: str, comment: str, unsubscribe_url: str):
        self.full_name = full_name
        self.first_name = first_name(full_name)
        self.email = email
        self.comment = comment
        self.unsubscribe_url = unsubscribe_url


@dataclass(frozen=True)
class Hole:
    name: str
    default: str = ""

    def value(self, values: Values) -> str:
        value: str = getattr(values, self.name)
        return value.strip() or self.default


Part = str | Hole


class FieldError(ValueError):
    """The text has a field that is not one of ours, or braces that do not close; `fragment` shows where."""

    def __init__(self, fragment: str, *, unknown: bool):
        super().__init__(fragment)
        self.fragment = fragment
        self.unknown = unknown


def parse(text: str) -> list[Part]:
    """The text as pieces and holes. Raises FieldError."""
    parts: list[Part] = []
    end = 0
    for match in FIELD.finditer(text):
        parts.append(text[end : match.start()])
        if match[1] not in NAMES:
            raise FieldError(match[0], unknown=True)
        parts.append(Hole(match[1], (match[2] or "").strip()))
        end = match.end()
    parts.append(text[end:])
    for part in parts:
        if isinstance(part, str) and (stray := re.search(r"\{\{.{0,20}|.{0,20}\}\}", part)):
            raise FieldError(stray[0], unknown=False)
    return [part for part in parts if part != ""]


def fill(parts: Iterable[Part], values: Values, escape: Callable[[str], str] = str) -> str:
    return "".join(part if isinstance(part, str) else escape(part.value(values)) for part in parts)


def first_name(full_name: str) -> str:
    """The given name: the first word, or the second of «Фамилия Имя Отчество»."""
    words = full_name.split()
    if len(words) == 3 and words[2][-1] in ITS_LAST and words[2].lower().endswith(PATRONYMIC):
        return words[1]
    return words[0] if words else ""
