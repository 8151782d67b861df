"""Counts of attempts: how many deliveries are in which state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import Attempt, Batch

STATES = ("sent", "waiting", "failed", "unknown", "skipped", "cancelled")  # in the order of bars and tiles


class MoreThan(int):
    """A number that was not counted to its end; pages say so."""

    def __str__(self) -> str:
        return f">{int(self)}"


@dataclass(frozen=True)
class Counts:
    """Deliveries by state; `waiting` are those without a final result in their current round."""

    waiting: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return sum(number for _, number in self.items())

    def items(self) -> list[tuple[str, int]]:
        """(state, number) in the order in which people read them."""
        return [(state, getattr(self, state)) for state in STATES]


def counts_of(attempts: Iterable[Attempt]) -> dict[int, Counts]:
    """By attempt id: of an open attempt the sums over its batches, of a closed one its own columns."""
    counts: dict[int, Counts] = {}
    open_ids = []
    for attempt in attempts:
        counts[attempt.id] = Counts() if attempt.is_open else _closed(attempt)
        if attempt.is_open:
            open_ids.append(attempt.id)
    return counts | (_sums_over_batches(open_ids) if open_ids else {})


def _closed(attempt: Attempt) -> Counts:
    return Counts(**{state: getattr(attempt, state) for state in STATES if state != "waiting"})


def _sums_over_batches(attempt_ids: list[int]) -> dict[int, Counts]:
    sums = [func.sum(getattr(Batch, state)) for state in STATES]
    query = select(Batch.attempt_id, *sums).where(Batch.attempt_id.in_(attempt_ids))
    return {
        row[0]: Counts(**{state: int(number) for state, number in zip(STATES, row[1:], strict=True)})
        for row in db.session.execute(query.group_by(Batch.attempt_id))
    }
