"""Claims: the batches that senders take into their hands, and the deliveries of them that wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, bindparam, case, exists, func, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from mailservice.models import Attempt, Batch, Client, Delivery, Reason, Result, State, Suppression
from mailservice.sending.batches import is_final

LEASE = timedelta(seconds=30)
made = tuple.__new__  # a NamedTuple in half the time


class Waiting(NamedTuple):
    """A delivery of a claimed batch that has no final result yet."""

    delivery_id: int
    email: str
    email_normalised: str
    full_name: str
    comment: str
    round: int
    leave_out: Reason | None  # it must not be sent to
    tries: int = 0  # so far, in this round
    first_try: datetime | None = None


class Claim(NamedTuple):
    """A batch that this sender holds, as long as its fence is the newest."""

    attempt_id: int
    number: int
    fence: int
    holder: str
    waiting: list[Waiting]
    rest: int = 0  # deliveries that wait for a later time
    lease: timedelta = LEASE  # how long it holds without being renewed


def claim(
    connection: Connection, attempt_id: int, *, holders: Sequence[str], now: datetime, lease: timedelta = LEASE
) -> list[Claim]:
    """Takes free batches that have work now, one for each of `holders` as long as there are any."""
    taken = []
    for holder in holders:
        parameters = {"attempt": attempt_id, "now": now, "holder_": holder, "until": now + lease}
        row = connection.execute(_claiming(), parameters).one_or_none()
        if row is None:
            break
        taken.append((holder, row))
    new = _read_new(connection, attempt_id, {row.number: row.waiting for _, row in taken if row.fence == 1})
    claims = []
    for holder, row in taken:
        waiting = new.get(row.number) or read_waiting(connection, attempt_id, row.number, now)
        claims.append(Claim(attempt_id, row.number, row.fence, holder, waiting, row.waiting - len(waiting), lease))
    return claims


def _read_new(connection: Connection, attempt_id: int, sizes: dict[int, int]) -> dict[int, list[Waiting]]:
    """The deliveries of batches that nobody held before, by their numbers: none of them has a result."""
    if not sizes:
        return {}
    result = connection.execute(_reading_new(), {"attempt": attempt_id, "numbers": list(sizes)})
    rows = result.cursor.fetchall() if result.cursor else []  # as the driver has them: in half the time
    result.close()
    if len(rows) != sum(sizes.values()):
        return {}  # not as new as they look
    every = _named([made(Waiting, (*row, 0, None)) for row in rows])
    found, start = {}, 0
    for number, size in sorted(sizes.items()):  # as the rows stand: batches need not be taken in order
        found[number] = every[start : start + size]
        start += size
    return found


def read_waiting(connection: Connection, attempt_id: int, number: int, now: datetime) -> list[Waiting]:
    """The batch's deliveries that may be tried now, in order."""
    rows = connection.execute(_reading(), {"attempt": attempt_id, "number_": number, "now": now}).all()
    return _named([Waiting(*row) for row in rows])


def _named(every: list[Waiting]) -> list[Waiting]:
    """The reasons to leave somebody out, of which there are few, as what they are."""
    return [w._replace(leave_out=Reason(w.leave_out)) if w.leave_out else w for w in every]


_IN_NUMBERS = Delivery.batch.in_(bindparam("numbers", expanding=True))
_OWNER = select(Attempt.owner_id).where(Attempt.id == bindparam("attempt")).scalar_subquery()
_SUPPRESSES = and_(Suppression.owner_id == _OWNER, Suppression.email_normalised == Delivery.email_normalised)
_LEAVE_OUT = case(
    (Suppression.id.is_not(None), Reason.SUPPRESSED.value), (Client.id.is_(None), Reason.CLIENT_DELETED.value)
)
# The fields of a Waiting, in order.
_WAITING = (
    *(Delivery.id, Delivery.email, Delivery.email_normalised, Delivery.full_name, Delivery.comment, Delivery.round),
    _LEAVE_OUT,
)


def _looking_up(*columns: Any) -> Select[Any]:
    """`columns` of deliveries, with what tells whether somebody must be left out."""
    return (
        select(*columns)
        .select_from(Delivery)
        .outerjoin(Client, Client.id == Delivery.client_id)
        .outerjoin(Suppression, _SUPPRESSES)
    )


# These are asked for every batch, and to put a statement together costs as much as to run it.


@cache
def _claiming() -> ReturningUpdate[int, int, int]:
    """Takes the first free batch of `attempt` at `now`, as `holder_`, `until` the lease's end."""
    free = (
        select(Batch.number)
        .where(
            Batch.attempt_id == bindparam("attempt"),
            Batch.waiting > 0,
            Batch.holder.is_(None),
            or_(Batch.not_before.is_(None), Batch.not_before <= bindparam("now", type_=Batch.not_before.type)),
        )
        .order_by(Batch.number)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    return (
        update(Batch)
        .where(Batch.attempt_id == bindparam("attempt"), Batch.number == free)
        .values(fence=Batch.fence + 1, holder=bindparam("holder_"), lease_until=bindparam("until"), not_before=None)
        .returning(Batch.number, Batch.fence, Batch.waiting)
    )


@cache
def _reading() -> Select[Any]:
    """The deliveries of batch `number_` of `attempt` that wait at `now`."""
    in_batch = (Delivery.attempt_id == bindparam("attempt"), Delivery.batch == bindparam("number_"))
    tries = (
        select(
            Result.delivery_id,
            Result.round,
            func.count().label("tries"),
            func.min(Result.tried_at).label("first_try"),
            func.max(Result.not_before).label("not_before"),
        )
        .join(Delivery, Delivery.id == Result.delivery_id)
        .where(Result.state == State.DEFERRED, *in_batch)
        .group_by(Result.delivery_id, Result.round)
        .subquery()
    )
    return (
        _looking_up(*_WAITING, func.coalesce(tries.c.tries, 0), tries.c.first_try)
        .outerjoin(tries, and_(tries.c.delivery_id == Delivery.id, tries.c.round == Delivery.round))
        .where(
            *in_batch,
            ~exists().where(is_final()),
            or_(tries.c.not_before.is_(None), tries.c.not_before <= bindparam("now", type_=Result.not_before.type)),
        )
        .order_by(Delivery.id)
    )


@cache
def _reading_new() -> Select[Any]:
    """The deliveries of batches `numbers` of `attempt`, which have no results yet."""
    return (
        _looking_up(*_WAITING)
        .where(Delivery.attempt_id == bindparam("attempt"), _IN_NUMBERS)
        .order_by(Delivery.batch, Delivery.id)
    )


@cache
def _asking_left_out() -> Select[Any]:
    return (
        _looking_up(Delivery.id, _LEAVE_OUT)
        .where(Delivery.attempt_id == bindparam("attempt"), _IN_NUMBERS)
        .where(or_(Client.id.is_(None), Suppression.id.is_not(None)))
    )


def left_out(connection: Connection, attempt_id: int, numbers: Sequence[int]) -> dict[int, Reason]:
    """Deliveries of these batches that by now must not be sent to, by id: asked several times a second."""
    if not numbers:
        return {}
    found = connection.execute(_asking_left_out(), {"attempt": attempt_id, "numbers": numbers})
    return {delivery_id: Reason(reason) for delivery_id, reason in found}
