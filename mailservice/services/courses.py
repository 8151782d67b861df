"""How an attempt went: its results by time and state, for a chart of some dozens of columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select, text

from mailservice.database import db
from mailservice.models import Attempt, Batch, Delivery, Result
from mailservice.services import moments
from mailservice.services.counting import STATES, Counts

COLUMNS = 40
EXACT = 20_000  # deliveries that are counted one by one; above it a batch counts as a whole
STEPS = tuple(
    timedelta(seconds=s) for s in (1, 5, 15, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400)
)
FINAL = tuple(state for state in STATES if state != "waiting")

_is_final = text("results.state <> 'deferred'")
_current = and_(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final)


@dataclass(frozen=True)
class Slot:
    """What became final from `at` on, for one step."""

    at: datetime
    counts: Counts


@dataclass(frozen=True)
class Course:
    """`is_by_batch`: each batch is counted where one of its letters was, since counting all would take too long."""

    slots: list[Slot]
    step: timedelta
    is_by_batch: bool


def of(attempt: Attempt, *, total: int, zone: str) -> Course | None:
    """Of the deliveries' current rounds; None where nothing is final yet. Days begin where `zone` has midnight."""
    is_by_batch = total > EXACT
    found = _by_batch(attempt) if is_by_batch else _exactly(attempt)
    if not found:
        return None
    first, last = min(at for at, _, _ in found), max(at for at, _, _ in found)
    step = next((s for s in STEPS if (last - first) / s < COLUMNS), STEPS[-1])
    offset = first.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return Course(_slots(found, step, offset), step, is_by_batch)


def _slots(found: Iterable[tuple[datetime, str, int]], step: timedelta, offset: timedelta) -> list[Slot]:
    sums: dict[datetime, dict[str, int]] = {}
    for at, state, number in found:
        epoch = at.timestamp() + offset.total_seconds()
        begin = datetime.fromtimestamp(epoch // step.total_seconds() * step.total_seconds(), UTC) - offset
        slot = sums.setdefault(begin, dict.fromkeys(FINAL, 0))
        slot[state] += number
    at, last = min(sums), max(sums)
    slots = []
    while at <= last:  # an hour without any letter is an empty column
        slots.append(Slot(at, Counts(**sums.get(at, {}))))
        at += step
    return slots


def _exactly(attempt: Attempt) -> list[tuple[datetime, str, int]]:
    """(second, state, number): few attempts last for many seconds and have few letters."""
    second = moments.since_epoch(Result.tried_at, 1)
    query: Any = select(second, Result.state, func.count()).join(Delivery, _current)
    query = query.where(Delivery.attempt_id == attempt.id).group_by(second, Result.state)
    return [(datetime.fromtimestamp(at, UTC), state.value, number) for at, state, number in db.session.execute(query)]


def _by_batch(attempt: Attempt) -> list[tuple[datetime, str, int]]:
    one = select(Result.tried_at).join(Delivery, _current).limit(1)
    of_batch = (Delivery.attempt_id == Batch.attempt_id, Delivery.batch == Batch.number)
    tried_at = one.where(*of_batch).correlate(Batch).scalar_subquery()
    counts = [getattr(Batch, state) for state in FINAL]
    query = select(tried_at, *counts).where(Batch.attempt_id == attempt.id, Batch.waiting < Batch.size)
    return [
        (at, state, number)
        for at, *numbers in db.session.execute(query)
        if at
        for state, number in zip(FINAL, numbers, strict=True)
    ]
