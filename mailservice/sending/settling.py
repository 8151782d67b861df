"""Between the batches: audiences prepared, stops noticed, rests written off, attempts closed."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy import select

from mailservice import clock
from mailservice.database import giving_way, read, write
from mailservice.models import Attempt, AttemptStatus
from mailservice.sending import batches, ledger, permission
from mailservice.sending.permission import Verdict

log = logging.getLogger(__name__)
CANCEL_SECONDS = 5.0


def open_attempts(*statuses: AttemptStatus) -> list[int]:
    """Ids of attempts in these states, oldest first."""
    with read() as connection:
        return list(connection.scalars(select(Attempt.id).where(Attempt.status.in_(statuses)).order_by(Attempt.id)))


def prepare(*, sender: str, seconds: float) -> int:
    """Prepares planned attempts slice by slice in turn, for so long. Returns how many became ready."""
    until, ready = clock.steady() + seconds, 0
    unprepared = open_attempts(AttemptStatus.PLANNED, AttemptStatus.PREPARING)
    while unprepared and clock.steady() < until:
        for attempt_id in list(unprepared):
            try:
                more = _prepare_slice(attempt_id, sender)
            except Exception:  # one attempt that cannot be prepared must not hold up all others
                log.exception("Attempt %d cannot be prepared; the next tick tries again", attempt_id)
                unprepared.remove(attempt_id)
                continue
            if not more:
                unprepared.remove(attempt_id)
                ready += 1
    return ready


def _prepare_slice(attempt_id: int, sender: str) -> bool:
    with giving_way(), write() as connection:
        more = batches.prepare_slice(connection, attempt_id, sender=sender, now=clock.now())
        if not more:
            ledger.finish_mailing_of(connection, attempt_id)  # it may have had nobody to write to
    return more


def settle(attempt_id: int) -> bool:
    """Stops the attempt if it must stop, writes off what waits then, closes it if it is through."""
    with write() as connection:
        allowed = permission.ask(connection, attempt_id, clock.now())
        if allowed.verdict is Verdict.STOP and allowed.reason:
            ledger.stop(connection, attempt_id, allowed.reason)
    if allowed.verdict is Verdict.STOP and allowed.reason:
        until = clock.steady() + CANCEL_SECONDS  # the next tick goes on where this one stops
        while clock.steady() < until and _cancel_one(attempt_id, allowed, clock.now()):
            pass
    with write() as connection:
        return ledger.close_if_through(connection, attempt_id, clock.now())


def _cancel_one(attempt_id: int, allowed: permission.Permission, now: datetime) -> bool:
    assert allowed.reason is not None
    with giving_way(), write() as connection:
        return ledger.cancel_batch(connection, attempt_id, reason=allowed.reason, now=now)
