"""Planning: what is due becomes an attempt. `next_at` is the only question it asks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select

from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Mailing, MailingStatus, Reason, User
from mailservice.services import schedule

AT_ONCE = 200  # mailings planned in one round


def due(now: datetime, *, mailing_id: int | None = None) -> list[int]:
    """Ids of mailings whose next firing has come and that may fire, the longest overdue first."""
    query = (
        select(Mailing.id)
        .join(User, User.id == Mailing.owner_id)
        .where(
            Mailing.next_at <= now,
            or_(Mailing.not_before.is_(None), Mailing.not_before <= now),
            Mailing.paused_at.is_(None),
            Mailing.disabled_at.is_(None),
            User.blocked_at.is_(None),
            User.confirmed_at.is_not(None),
        )
        .order_by(Mailing.next_at)
        .limit(AT_ONCE)
    )
    if mailing_id is not None:
        query = query.where(Mailing.id == mailing_id)
    return list(db.session.scalars(query))


def plan(mailing_id: int, now: datetime) -> Attempt | None:
    """Plans the firing that is due; those that came too late, or while another runs, are recorded as skipped.

    Two planners at once do no harm: the second finds the mailing locked or its firing planned.
    """
    query = select(Mailing).where(Mailing.id == mailing_id).with_for_update(skip_locked=True)
    mailing = db.session.scalars(query).one_or_none()
    if mailing is None or mailing.paused_at or mailing.disabled_at:
        return None
    if mailing.not_before and mailing.not_before > now:  # its owner may still undo it
        return None
    rules = schedule.of(mailing)
    while mailing.next_at is not None and mailing.next_at <= now:
        if now - mailing.next_at > rules.tolerance():
            schedule.skip(mailing, Reason.MISSED, now)
        elif rules.end_at and now >= rules.end_at:
            schedule.skip(mailing, Reason.ENDED, now)
        elif schedule.has_open_attempt(mailing):
            schedule.skip(mailing, Reason.OVERLAP, now)
        else:
            return _begin(mailing, now)
    return None


def _begin(mailing: Mailing, now: datetime) -> Attempt:
    attempt = Attempt(
        mailing_id=mailing.id,
        owner_id=mailing.owner_id,
        occurrence=mailing.next_occurrence,
        due_at=mailing.next_at,
        status=AttemptStatus.PLANNED,
        planned_at=now,
    )
    db.session.add(attempt)
    db.session.flush()
    mailing.status = MailingStatus.RUNNING
    mailing.not_before = None
    schedule.advance(mailing)
    return attempt
