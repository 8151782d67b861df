"""Batches: an attempt's audience is frozen into them, senders claim and release them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate
from sqlalchemy.sql.elements import ColumnElement

from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Client,
    Delivery,
    Mailing,
    Message,
    Reason,
    Result,
    State,
    Suppression,
)
from mailservice.models.batch import SIZE
from mailservice.sending import audience as audiences
from mailservice.sending.audience import Audience

SLICE = 10 * SIZE  # deliveries prepared in one transaction
PATIENCE = timedelta(hours=24)  # without any progress
LEASE = timedelta(seconds=30)


def is_final() -> ColumnElement[bool]:
    """The join of a delivery to its final result in its current round."""
    return and_(Result.delivery_id == Delivery.id, Result.round == Delivery.round, Result.state != State.DEFERRED)


def prepare_slice(connection: Connection, attempt_id: int, *, sender: str, now: datetime) -> bool:
    """Copies the next part of the audience; False when there is nothing left to prepare.

    One that another process is preparing at this moment counts as nothing left.
    """
    query = (
        select(
            *(Attempt.status, Attempt.reason, Attempt.mailing_id, Attempt.owner_id),
            *(Attempt.prepared_to, Attempt.audience, Attempt.began_at, Attempt.filters),
        )
        .where(Attempt.id == attempt_id, Attempt.status.in_([AttemptStatus.PLANNED, AttemptStatus.PREPARING]))
        .with_for_update(skip_locked=True)
    )
    attempt = connection.execute(query).one_or_none()
    if attempt is None:
        return False
    if attempt.reason:  # stopped before it began: what is prepared will be cancelled
        _set(connection, attempt_id, status=AttemptStatus.SENDING)
        return False
    if attempt.status is AttemptStatus.PLANNED:
        filters = _freeze_content(connection, attempt_id, attempt.mailing_id, sender, now)
        chosen = audiences.read(attempt.mailing_id, attempt.owner_id, filters, now)
    else:
        chosen = audiences.read(attempt.mailing_id, attempt.owner_id, attempt.filters, attempt.began_at or now)
    last = audiences.last_of_slice(connection, chosen, after=attempt.prepared_to, size=SLICE)
    audience = attempt.audience
    if last is not None:
        audience += _copy_audience(connection, attempt_id, chosen, attempt.prepared_to, last)
        _set(connection, attempt_id, prepared_to=last, audience=audience, status=AttemptStatus.PREPARING)
        return True
    if audience:
        _set(connection, attempt_id, audience=audience, status=AttemptStatus.SENDING)
    else:
        _set(connection, attempt_id, status=AttemptStatus.SKIPPED, reason=Reason.EMPTY, finished_at=now)
    return False


def _set(connection: Connection, attempt_id: int, **values: Any) -> None:
    connection.execute(update(Attempt).where(Attempt.id == attempt_id).values(**values))


def _freeze_content(
    connection: Connection, attempt_id: int, mailing_id: int, sender: str, now: datetime
) -> list[Any] | None:
    """Text, sender and the conditions of the saved filters, which it returns; who meets them each slice asks."""
    query = select(Message.subject, Message.body, Message.kind, Message.preheader).where(
        Message.id == select(Mailing.message_id).where(Mailing.id == mailing_id).scalar_subquery()
    )
    subject, body, kind, preheader = connection.execute(query).one()
    filters = list(connection.scalars(audiences.filters_of(mailing_id))) or None
    _set(
        connection,
        attempt_id,
        subject=subject,
        body=body,
        kind=kind,
        preheader=preheader,
        sender=sender,
        filters=filters,
        began_at=now,
        deadline_at=now + PATIENCE,
    )
    return filters


def _copy_audience(connection: Connection, attempt_id: int, chosen: Audience, after: int, last: int) -> int:
    """Copies the clients of this slice into new batches; returns how many."""
    in_attempt = Batch.attempt_id == attempt_id
    first = connection.scalar(select(func.coalesce(func.max(Batch.number), 0)).where(in_attempt)) or 0
    numbers = range(first + 1, first + 1 + SLICE // SIZE)
    connection.execute(
        insert(Batch), [{"attempt_id": attempt_id, "number": n, "size": 0, "waiting": 0} for n in numbers]
    )
    position = func.row_number().over(order_by=Client.id) - 1
    values = (
        literal(attempt_id),
        literal(first + 1) + position // SIZE,
        Client.id,
        Client.email,
        Client.email_normalised,
        Client.full_name,
        Client.comment,
    )
    rows = audiences.slice_of(chosen, *values, after=after, last=last)
    columns = ["attempt_id", "batch", "client_id", "email", "email_normalised", "full_name", "comment"]
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    # A client deleted and made again while the audience is copied is not copied twice.
    statement = dialect.insert(Delivery).from_select(columns, rows).on_conflict_do_nothing()
    count = connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    _count(connection, attempt_id, first)
    return count


def _count(connection: Connection, attempt_id: int, first: int) -> None:
    """Sets the sizes of the new batches, and drops those that stayed empty."""
    size = (
        select(func.count())
        .where(Delivery.attempt_id == Batch.attempt_id, Delivery.batch == Batch.number)
        .scalar_subquery()
    )
    new = (Batch.attempt_id == attempt_id, Batch.number > first)
    connection.execute(update(Batch).where(*new).values(size=size, waiting=size))
    connection.execute(delete(Batch).where(*new, Batch.size == 0))


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
    rows = connection.execute(_reading_new(), {"attempt": attempt_id, "numbers": list(sizes)}).all()
    if len(rows) != sum(sizes.values()):
        return {}  # not as new as they look
    every = _named([Waiting(*row) for row in rows])
    found, start = {}, 0
    for number, size in sizes.items():
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
        select(
            Delivery.id,
            Delivery.email,
            Delivery.email_normalised,
            Delivery.full_name,
            Delivery.comment,
            Delivery.round,
            _LEAVE_OUT,
            func.coalesce(tries.c.tries, 0),
            tries.c.first_try,
        )
        .outerjoin(tries, and_(tries.c.delivery_id == Delivery.id, tries.c.round == Delivery.round))
        .outerjoin(Client, Client.id == Delivery.client_id)
        .outerjoin(Suppression, _SUPPRESSES)
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
        select(
            Delivery.id,
            Delivery.email,
            Delivery.email_normalised,
            Delivery.full_name,
            Delivery.comment,
            Delivery.round,
            _LEAVE_OUT,
        )
        .outerjoin(Client, Client.id == Delivery.client_id)
        .outerjoin(Suppression, _SUPPRESSES)
        .where(Delivery.attempt_id == bindparam("attempt"), _IN_NUMBERS)
        .order_by(Delivery.batch, Delivery.id)
    )


@cache
def _asking_left_out() -> Select[Any]:
    return (
        select(Delivery.id, _LEAVE_OUT)
        .outerjoin(Client, Client.id == Delivery.client_id)
        .outerjoin(Suppression, _SUPPRESSES)
        .where(
            Delivery.attempt_id == bindparam("attempt"),
            _IN_NUMBERS,
            or_(Client.id.is_(None), Suppression.id.is_not(None)),
        )
    )


def left_out(connection: Connection, attempt_id: int, numbers: Sequence[int]) -> dict[int, Reason]:
    """Deliveries of these batches that by now must not be sent to, by id: asked several times a second."""
    if not numbers:
        return {}
    found = connection.execute(_asking_left_out(), {"attempt": attempt_id, "numbers": numbers})
    return {delivery_id: Reason(reason) for delivery_id, reason in found}
