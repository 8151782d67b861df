"""The ledger: results appended in bulk, counts kept per batch, attempts stopped and closed.

Every function takes a connection in a transaction of its caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Update, and_, bindparam, case, exists, func, insert, literal, or_, select, update

from mailservice import clock
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Delivery,
    Mailing,
    MailingStatus,
    Reason,
    Result,
    State,
)
from mailservice.sending import appending, consequences
from mailservice.sending.batches import is_final
from mailservice.sending.claims import Claim
from mailservice.sending.entries import Entry

# How an attempt ends that was stopped for this reason; any other reason cancels it.
FAILURES = frozenset({Reason.STALE, Reason.REFUSED, Reason.SENDER_REFUSED, Reason.TOO_BIG, Reason.BAD_MESSAGE})
STATE_OF = attrgetter("state")
COUNTED = ("sent", "failed", "unknown", "skipped", "cancelled")


def renew(
    connection: Connection,
    claim: Claim,
    entries: Sequence[Entry],
    *,
    now: datetime,
    accepted: int = 0,
    is_through: bool = False,
) -> bool:
    """Counts results and renews the lease, or gives a batch back that is through.

    False: the batch is no longer ours, or this very commit was made already and its answer was lost; nothing
    may be written about it then. The fence rises each time.
    """
    finals = Counter(map(STATE_OF, entries))
    del finals[State.DEFERRED]
    finals[State.SENT] += accepted
    values = {f"{name}_": finals[name] for name in COUNTED} | {"waiting_": finals.total()}
    batch = {"attempt": claim.attempt_id, "number_": claim.number, "fence_": claim.fence}
    until = None if is_through else now + claim.lease
    holder = None if is_through else claim.holder
    found = connection.execute(_renewing(), values | batch | {"until": until, "holder_": holder})
    return found.rowcount == 1


@cache  # it is asked for every batch in every commit, and to put it together costs as much as to run it
def _renewing() -> Update:
    counts = {name: getattr(Batch, name) + bindparam(f"{name}_") for name in COUNTED}
    return (
        update(Batch)
        .where(
            Batch.attempt_id == bindparam("attempt"),
            Batch.number == bindparam("number_"),
            Batch.fence == bindparam("fence_"),
        )
        .values(
            waiting=Batch.waiting - bindparam("waiting_"),
            fence=Batch.fence + 1,
            holder=bindparam("holder_"),
            lease_until=bindparam("until"),
            **counts,
        )
    )


def append(
    connection: Connection,
    attempt_id: int,
    entries: Sequence[Entry],
    *,
    now: datetime,
    accepted: Sequence[str] = (),
) -> None:
    """Appends results with all that follows from them; the counts of their batch are the caller's.

    `accepted`: rows of letters that were accepted, as entries.accepted() has made them.
    """
    if entries or accepted:
        appending.append(connection, entries, accepted)
        consequences.suppress(connection, attempt_id, entries)
        last = [Entry.of_row(0, accepted[-1])] if accepted else []  # stands for all of them
        consequences.note_progress(connection, attempt_id, [*last, *entries], now)


def release(connection: Connection, claim: Claim, *, until: datetime | None = None) -> None:
    """Gives the batch back; letters deferred keep it away until the first of them is due, all others until `until`."""
    free_batch(connection, claim.attempt_id, claim.number, Batch.fence == claim.fence, until=until)


def free_batch(
    connection: Connection, attempt_id: int, number: int, *where: Any, until: datetime | None = None
) -> None:
    """A batch without a holder: due when the first of its waiting deliveries is; what is due already, at `until`."""
    due = (
        select(func.max(Result.not_before))
        .where(Result.delivery_id == Delivery.id, Result.round == Delivery.round, Result.state == State.DEFERRED)
        .correlate(Delivery)
        .scalar_subquery()
    )
    waiting = (
        select(due.label("due"))
        .where(Delivery.attempt_id == attempt_id, Delivery.batch == number, ~exists().where(is_final()))
        .subquery()
    )
    put_off = literal(until, Batch.not_before.type)
    due_at = case((waiting.c.due > clock.now(), waiting.c.due), else_=put_off) if until else waiting.c.due
    first = select(case((func.count() == func.count(waiting.c.due), func.min(due_at)), else_=put_off)).scalar_subquery()
    connection.execute(
        update(Batch)
        .where(Batch.attempt_id == attempt_id, Batch.number == number, *where)
        .values(holder=None, lease_until=None, evicted=False, fence=Batch.fence + 1, not_before=first)
    )


def stop(connection: Connection, attempt_id: int, reason: Reason, *, reply: str | None = None) -> None:
    """Marks an open attempt as stopping: nothing more is claimed, its rest will be cancelled."""
    values: dict[str, Any] = {"reason": reason} | ({"server_reply": reply} if reply else {})
    connection.execute(
        update(Attempt)
        .where(Attempt.id == attempt_id, Attempt.reason.is_(None), Attempt.status.in_(Attempt.OPEN))
        .values(**values)
    )


def cancel_batch(connection: Connection, attempt_id: int, *, reason: Reason, now: datetime) -> bool:
    """Writes the rest of one free batch of a stopping attempt off; False when none is left.

    A letter that was refused for now and can be tried no more has failed; one never tried is cancelled.
    """
    query = (
        select(Batch.number)
        .where(Batch.attempt_id == attempt_id, Batch.waiting > 0, Batch.holder.is_(None))
        .order_by(Batch.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    number = connection.scalar(query)
    if number is None:
        return False
    last = (
        select(
            Result.delivery_id,
            Result.round,
            func.max(Result.id).label("id"),
        )
        .join(Delivery, Delivery.id == Result.delivery_id)
        .where(Result.state == State.DEFERRED, Delivery.attempt_id == attempt_id, Delivery.batch == number)
        .group_by(Result.delivery_id, Result.round)
        .subquery()
    )
    deferred = Result.__table__.alias("deferred")
    rest = (
        select(
            Delivery.id,
            literal(attempt_id),
            Delivery.round,
            case((deferred.c.id.is_(None), State.CANCELLED.value), else_=State.FAILED.value),
            literal(reason.value),
            deferred.c.code,
            deferred.c.enhanced,
            deferred.c.reply,
            literal(now, Result.tried_at.type),
        )
        .select_from(Delivery)
        .outerjoin(last, and_(last.c.delivery_id == Delivery.id, last.c.round == Delivery.round))
        .outerjoin(deferred, deferred.c.id == last.c.id)
        .where(Delivery.attempt_id == attempt_id, Delivery.batch == number, ~exists().where(is_final()))
    )
    columns = ["delivery_id", "attempt_id", "round", "state", "reason", "code", "enhanced", "reply", "tried_at"]
    connection.execute(insert(Result).from_select(columns, rest))
    recount(connection, attempt_id, number)
    return True


def recount(connection: Connection, attempt_id: int, number: int) -> None:
    """Sets a batch's counts to what its results say."""
    query = (
        select(Result.state, func.count())
        .join(Delivery, is_final())
        .where(Delivery.attempt_id == attempt_id, Delivery.batch == number)
        .group_by(Result.state)
    )
    counts = {state.value: count for state, count in connection.execute(query)}
    values: dict[str, Any] = {name: counts.get(name, 0) for name in COUNTED}
    connection.execute(
        update(Batch)
        .where(Batch.attempt_id == attempt_id, Batch.number == number)
        .values(waiting=Batch.size - sum(values.values()), **values)
    )


def close_if_through(connection: Connection, attempt_id: int, now: datetime) -> bool:
    """Closes an attempt none of whose deliveries waits any more, and its mailing if nothing lies ahead."""
    mailing_of = select(Attempt.mailing_id).where(Attempt.id == attempt_id).scalar_subquery()
    # First the mailing, then the attempt: in the order of whoever pauses or resumes it.
    # One that somebody holds at this moment is left to the next tick.
    locked = select(Mailing.id).where(Mailing.id == mailing_of).with_for_update(skip_locked=True)
    if connection.scalar(locked) is None:
        return False
    row = connection.execute(
        select(Attempt.mailing_id, Attempt.reason)
        .where(Attempt.id == attempt_id, Attempt.status == AttemptStatus.SENDING)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return False
    sums = connection.execute(
        select(*(func.coalesce(func.sum(getattr(Batch, name)), 0) for name in ("waiting", *COUNTED))).where(
            Batch.attempt_id == attempt_id
        )
    ).one()
    waiting, *counts = map(int, sums)
    if waiting:
        return False
    totals = dict(zip(COUNTED, counts, strict=True))
    values: dict[str, Any] = totals | {
        "status": _closing_status(row.reason),
        # Who is left out by his own wish or by the stop list is no loss: skipped deliveries count for nothing.
        "succeeded": sum(counts) - totals["skipped"] == totals["sent"],
        "finished_at": now,
    }
    connection.execute(update(Attempt).where(Attempt.id == attempt_id).values(**values))
    finish_mailing(connection, row.mailing_id)
    return True


def _closing_status(reason: Reason | None) -> AttemptStatus:
    if reason is None:
        return AttemptStatus.DONE
    return AttemptStatus.FAILED if reason in FAILURES else AttemptStatus.CANCELLED


def finish_mailing_of(connection: Connection, attempt_id: int) -> None:
    mailing_id = connection.scalar(select(Attempt.mailing_id).where(Attempt.id == attempt_id))
    if mailing_id is not None:
        finish_mailing(connection, mailing_id)


def finish_mailing(connection: Connection, mailing_id: int) -> None:
    """A mailing with no firing ahead and no attempt open is finished."""
    is_open = exists().where(Attempt.mailing_id == mailing_id, Attempt.status.in_(Attempt.OPEN))
    connection.execute(
        update(Mailing)
        .where(Mailing.id == mailing_id, Mailing.next_at.is_(None), ~is_open)
        .values(status=MailingStatus.FINISHED)
    )


def with_work(connection: Connection, now: datetime) -> list[tuple[int, int]]:
    """(attempt id, free batches that have work now) of all open attempts, the least served first."""
    query = (
        select(Batch.attempt_id, func.count())
        .join(Attempt, Attempt.id == Batch.attempt_id)
        .join(Mailing, Mailing.id == Attempt.mailing_id)
        .where(
            Attempt.status == AttemptStatus.SENDING,
            Attempt.reason.is_(None),
            Mailing.paused_at.is_(None),
            Batch.waiting > 0,
            Batch.holder.is_(None),
            or_(Batch.not_before.is_(None), Batch.not_before <= now),
        )
        .group_by(Batch.attempt_id)
        .order_by(func.count(), Batch.attempt_id)
    )
    return [(attempt_id, count) for attempt_id, count in connection.execute(query)]
