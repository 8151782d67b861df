"""An entry: one result on its way into the ledger, as a value that the journal can hold too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, Protocol

from mailservice.models import Reason, State

LONGEST_REPLY = 1000  # characters kept of a server's words
NULL = "\\N"
NOTHING_MORE = [None, None, None]


@lru_cache(maxsize=64)
def moment(at: datetime) -> str:
    """As ISO 8601; letters of one instant share it."""
    return at.isoformat()


@lru_cache(maxsize=64)
def instant(at: datetime) -> str:
    """As the rows of COPY have it: in UTC, always with microseconds; letters of one instant share it."""
    return at.astimezone(UTC).isoformat(" ", "microseconds")


class Entry(NamedTuple):
    attempt_id: int
    batch: int
    delivery_id: int
    round: int
    state: State
    tried_at: datetime
    code: int | None = None
    enhanced: str | None = None
    reply: str | None = None
    reason: Reason | None = None
    not_before: datetime | None = None
    suppress: str | None = None  # a normalised address that does not exist

    @classmethod
    def of_row(cls, batch: int, row: str) -> Entry:
        """What accepted() has made. Raises ValueError for anything else."""
        delivery_id, attempt_id, round_, state, _, code, enhanced, reply, at, _ = row.rstrip("\n").split("\t")
        if state != State.SENT:
            raise ValueError(row)
        moment = datetime.fromisoformat(at)
        return cls(
            int(attempt_id), batch, int(delivery_id), int(round_), State.SENT, moment, int(code), enhanced, reply
        )

    def dumps(self) -> str:
        """One line of JSON, for the journal; made for every letter, so a list rather than an object."""
        attempt_id, batch, delivery_id, round_, state, tried_at, code, enhanced, reply, *rest = self
        if state is State.SENT and reply is not None and rest == NOTHING_MORE:  # as json.dumps() would, in a third
            which = f"{attempt_id}, {batch}, {delivery_id}, {round_}"
            quoted = f'"{enhanced}"' if enhanced else "null"
            said = f"{'null' if code is None else code}, {quoted}, {encode_basestring_ascii(reply)}"
            return f'[{which}, "sent", "{moment(tried_at)}", {said}, null, null, null]'
        later = self.not_before and moment(self.not_before)
        return json.dumps([*self[:4], self.state.value, moment(tried_at), *self[6:10], later, self.suppress])

    @classmethod
    def loads(cls, text: str) -> Entry:
        """Raises ValueError or TypeError for anything that dumps() has not made."""
        values = json.loads(text)
        if not isinstance(values, list) or len(values) != len(cls._fields):
            raise ValueError(text)
        entry = cls(*values)
        return entry._replace(
            state=State(entry.state),
            tried_at=datetime.fromisoformat(values[5]),
            reason=Reason(values[9]) if values[9] is not None else None,
            not_before=datetime.fromisoformat(values[10]) if values[10] is not None else None,
        )


class Tried(Protocol):
    """A delivery that was tried."""

    @property
    def delivery_id(self) -> int: ...

    @property
    def round(self) -> int: ...


def accepted(attempt_id: int, tried: Iterable[Tried], replies: Sequence[str], at: datetime) -> list[str]:
    """Rows as COPY takes them for letters that were accepted alike: they differ in what was said.

    The replies are printable ASCII without a backslash, and begin with 250 and one enhanced code. These rows are
    what the journal keeps and what the database is given: a letter's result is put into words once.
    """
    enhanced = replies[0].split(" ", 2)[1]
    middle = f"\t{State.SENT.value}\t{NULL}\t250\t{enhanced}\t"
    end = f"\t{instant(at)}\t{NULL}\n"
    return [
        f"{delivery.delivery_id}\t{attempt_id}\t{delivery.round}{middle}{reply}{end}"
        for delivery, reply in zip(tried, replies, strict=True)
    ]
