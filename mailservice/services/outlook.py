"""Before it goes: to how many, who is left out and why, and about how long it takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from mailservice.database import db, large_joins
from mailservice.models import Attempt, AttemptStatus, Client, Mailing, Suppression, User
from mailservice.services import audiences

LATE = 5  # attempts whose speed counts
HOUR = 3600


@dataclass(frozen=True)
class Recipients:
    """`number` will be written to as things are now; the others are left out."""

    number: int
    suppressed: int  # on the stop list
    doubled: int  # pasted twice
    unknown: int  # pasted, but no client's address

    @property
    def left_out(self) -> int:
        return self.suppressed + self.doubled + self.unknown


def recipients(mailing: Mailing) -> Recipients:
    # From the stop list to the clients: it is the short one.
    query = (
        select(func.count())
        .select_from(Suppression)
        .join(
            Client,
            (Client.owner_id == Suppression.owner_id) & (Client.email_normalised == Suppression.email_normalised),
        )
        .where(Suppression.owner_id == mailing.owner_id, audiences.are_meant(mailing))
    )
    with large_joins():
        suppressed = db.session.scalar(query) or 0
    number = audiences.count(mailing) - suppressed
    return Recipients(number, suppressed, mailing.doubled, mailing.unknown)


def duration(owner: User, letters: int, *, per_second: float = 0, per_hour: int = 0) -> timedelta | None:
    """About how long so many letters take: by the owner's late attempts and the limits (0: none); None: no idea."""
    rate = late_rate(owner)
    if not letters or not (rate or per_second or per_hour):
        return None
    times = [letters / speed for speed in (rate, per_second) if speed]
    if per_hour:
        times.append((letters - 1) // per_hour * HOUR)  # each hour's letters may go at its beginning
    return timedelta(seconds=max(1, *times))


def late_rate(owner: User) -> float | None:
    """Letters per second of the owner's late attempts; None where there are none."""
    query = (
        select(Attempt.sent, Attempt.began_at, Attempt.last_tried_at)
        .where(
            Attempt.owner_id == owner.id,
            Attempt.status == AttemptStatus.DONE,
            Attempt.sent > 0,
            Attempt.began_at.is_not(None),
            Attempt.last_tried_at.is_not(None),
        )
        .order_by(Attempt.due_at.desc())
        .limit(LATE)
    )
    rows = db.session.execute(query).all()
    seconds = sum(max((row.last_tried_at - row.began_at).total_seconds(), 1) for row in rows)
    return sum(row.sent for row in rows) / seconds if seconds else None
