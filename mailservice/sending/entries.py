"""An entry: one result on its way into the ledger, as a value that the journal can hold too."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from mailservice.models import Reason, State

LONGEST_REPLY = 1000  # characters kept of a server's words


@dataclass(frozen=True, slots=True)
class Entry:
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

    def row(self) -> dict[str, Any]:
        """The row of `results`."""
        row = asdict(self)
        del row["batch"], row["suppress"]
        return row

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        for name in ("tried_at", "not_before"):
            if name in values:
                values[name] = values[name].isoformat()
        return values

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Entry:
        values = dict(plain)
        for name in ("tried_at", "not_before"):
            if name in values:
                values[name] = datetime.fromisoformat(values[name])
        values["state"] = State(values["state"])
        if "reason" in values:
            values["reason"] = Reason(values["reason"])
        return cls(**values)
