"""How far attempts are: the numbers that the command line prints while it sends."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Batch, Mailing
from mailservice.services import audiences, planning


class Progress(NamedTuple):
    """Counts of deliveries, as the attempt's batches have them."""

    attempt_id: int
    title: str
    status: AttemptStatus
    succeeded: bool | None
    server_reply: str | None
    size: int
    waiting: int
    sent: int
    failed: int
    unknown: int
    skipped: int
    cancelled: int

    @property
    def done(self) -> int:
        return self.size - self.waiting

    @property
    def is_failure(self) -> bool:
        """It is over, nobody stopped it, and not every letter was accepted."""
        return self.status is AttemptStatus.FAILED or (self.status is AttemptStatus.DONE and not self.succeeded)


COUNTS = (
    Batch.size,
    Batch.waiting,
    Batch.sent,
    Batch.failed,
    Batch.unknown,
    Batch.skipped,
    Batch.cancelled,
)


def of_attempts(*, since: datetime, among: set[int], mailing_id: int | None = None) -> list[Progress]:
    """Of the given attempts and of those planned since a moment, in order."""
    query = (
        select(
            Attempt.id,
            Mailing.title,
            Attempt.status,
            Attempt.succeeded,
            Attempt.server_reply,
            *(func.coalesce(func.sum(column), 0) for column in COUNTS),
        )
        .join(Mailing, Mailing.id == Attempt.mailing_id)
        .outerjoin(Batch, Batch.attempt_id == Attempt.id)
        .where(Attempt.id.in_(among) | (Attempt.planned_at >= since))
        .group_by(Attempt.id, Mailing.title)
        .order_by(Attempt.id)
    )
    if mailing_id is not None:
        query = query.where(Attempt.mailing_id == mailing_id)
    return [Progress(*row[:5], *map(int, row[5:])) for row in db.session.execute(query)]


def open_ids(mailing_id: int | None = None) -> set[int]:
    """Ids of the attempts that are open now."""
    query = select(Attempt.id).where(Attempt.status.in_(Attempt.OPEN))
    if mailing_id is not None:
        query = query.where(Attempt.mailing_id == mailing_id)
    return set(db.session.scalars(query))


def exists(mailing_id: int) -> bool:
    """Whether there is such a mailing, anybody's."""
    return db.session.scalar(select(Mailing.id).where(Mailing.id == mailing_id)) is not None


class Due(NamedTuple):
    """A mailing that would be planned now."""

    mailing_id: int
    title: str
    next_at: datetime
    clients: int


def due(now: datetime, *, mailing_id: int | None = None) -> list[Due]:
    """What a tick at this moment would plan; nothing is changed."""
    ids = planning.due(now, mailing_id=mailing_id)
    found = db.session.scalars(select(Mailing).where(Mailing.id.in_(ids)).order_by(Mailing.next_at))
    return [Due(row.id, row.title, row.next_at, audiences.count(row)) for row in found if row.next_at]
