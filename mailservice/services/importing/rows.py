"""One record of a file as a row of the ledger: its address, name and comment as they would be kept, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mailservice.errors import Invalid
from mailservice.models import RowState
from mailservice.services import addresses, texts
from mailservice.services.clients import LONGEST_COMMENT, LONGEST_NAME
from mailservice.services.importing.columns import Role

LONGEST_SHOWN = 1000  # characters of a cell that is refused
NO_ADDRESS, BAD_ADDRESS = "no_address", "bad_address"
BAD_NAME, LONG_NAME = "bad_name", "long_name"
BAD_COMMENT, LONG_COMMENT = "bad_comment", "long_comment"


class Row(NamedTuple):
    """`number` is that of the record in the file, as a spreadsheet counts."""

    number: int
    state: RowState
    reason: str | None
    email: str
    email_normalised: str | None
    full_name: str
    comment: str


class _Refused(Exception):
    """The record cannot become a client; its argument is a reason."""


class RowMaker:
    """Makes rows of the records of one file."""

    def __init__(self, roles: Sequence[str]):
        found = {role: [n for n, given in enumerate(roles) if given == role] for role in Role if role}
        self._email = (found[Role.EMAIL] or [len(roles)])[0]
        self._names = [*found[Role.FULL_NAME], *found[Role.FIRST_NAME], *found[Role.LAST_NAME]]
        self._comments = found[Role.COMMENT]

    def row(self, number: int, cells: Sequence[str]) -> Row:
        width = len(cells)
        email = cells[self._email] if self._email < width else ""
        name = " ".join([cells[n] for n in self._names if n < width])
        comment = "\n".join([cells[n] for n in self._comments if n < width and cells[n]])
        try:
            address = _address(email)
            fit_name, fit_comment = _name(name), _comment(comment)
        except _Refused as refused:
            shown = (_shown(text) for text in (email, name, comment))
            email, name, comment = shown
            return Row(number, RowState.INVALID, str(refused), email, None, name, comment)
        return Row(number, RowState.NEW, None, address.given, address.normalised, fit_name, fit_comment)


def _address(text: str) -> addresses.Address:
    try:
        return addresses.parse(text)
    except Invalid:
        raise _Refused(BAD_ADDRESS if text.strip() else NO_ADDRESS) from None


def _name(text: str) -> str:
    """As texts.one_line keeps it, but that line breaks and rows of spaces become one space."""
    text = " ".join(text.split())
    if len(text) > LONGEST_NAME:
        raise _Refused(LONG_NAME)
    if text.isprintable() and "=?" not in text:
        return text
    try:
        return texts.one_line(text, field="full_name", longest=LONGEST_NAME)
    except Invalid:
        raise _Refused(BAD_NAME) from None


def _comment(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_COMMENT:
        raise _Refused(LONG_COMMENT)
    if text.isprintable():
        return text
    try:
        return texts.many_lines(text, field="comment", longest=LONGEST_COMMENT).strip()
    except Invalid:
        raise _Refused(BAD_COMMENT) from None


def _shown(text: str) -> str:
    """What a database takes of it: no NUL, no half of a surrogate pair."""
    return text[:LONGEST_SHOWN].replace("\0", "").encode("utf-8", "replace").decode()
