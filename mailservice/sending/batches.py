"""Batches: an attempt's audience is frozen into them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
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
)
from mailservice.models.batch import SIZE
from mailservice.sending import audience as audiences
from mailservice.sending.audience import Audience

SLICE = 10 * SIZE  # deliveries prepared in one transaction
# A slice is a few thousand clients beside tables of any size: always by index. Of a range of ids the database thinks
# as of a large part of the table, and would read all deliveries and all results again for each slice.
BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
PATIENCE = timedelta(hours=24)  # without any progress


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
    if dialect is postgresql:
        connection.exec_driver_sql(BY_INDEX)
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
