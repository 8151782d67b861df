"""What was sent today and in the last days: sums over attempts by the day they were due, and those attempts."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, select

from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Batch, Mailing, User
from mailservice.services import pages, reports
from mailservice.services.reports import AttemptLine


class Period(enum.StrEnum):
    TODAY = "today"
    WEEK = "week"  # seven days with today
    MONTH = "month"  # thirty


DAYS = {Period.TODAY: 1, Period.WEEK: 7, Period.MONTH: 30}


def begins(period: Period, time_zone: str, now: datetime) -> datetime:
    """The midnight, where the person is, with which it begins."""
    zone = ZoneInfo(time_zone)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return (midnight - timedelta(days=DAYS[period] - 1)).replace(tzinfo=zone)


def sent(owner: User, now: datetime) -> dict[Period, int]:
    """Letters that the mail server accepted, of the attempts that were due in each period."""
    since = {period: begins(period, owner.time_zone, now) for period in Period}
    longest = _within(owner, since[Period.MONTH])
    closed = _sums(since, Attempt.sent).where(longest, Attempt.status.not_in(Attempt.OPEN))
    still_open = _sums(since, Batch.sent).join(Batch, Batch.attempt_id == Attempt.id)
    still_open = still_open.where(longest, Attempt.status.in_(Attempt.OPEN))
    rows = [db.session.execute(query).one() for query in (closed, still_open)]
    return {period: sum(int(row[n]) for row in rows) for n, period in enumerate(since)}


def attempts(owner: User, period: Period, now: datetime, *, number: int = 1, size: int = 50) -> pages.Page[AttemptLine]:
    """The attempts behind such a number, the latest first."""
    query: Any = select(Attempt, Mailing).join(Mailing, Mailing.id == Attempt.mailing_id)
    query = query.where(_within(owner, begins(period, owner.time_zone, now)), Attempt.status != AttemptStatus.SKIPPED)
    query = query.order_by(Attempt.due_at.desc(), Attempt.id.desc())
    page = pages.fetch(query, number=number, size=size, rows=True)
    return pages.Page(reports.attempt_lines(page.items), page.number, page.size, page.total)


def _within(owner: User, since: datetime) -> ColumnElement[bool]:
    return (Attempt.owner_id == owner.id) & (Attempt.due_at >= since)


def _sums(since: dict[Period, datetime], column: Any) -> Any:
    sums = [func.coalesce(func.sum(case((Attempt.due_at >= moment, column), else_=0)), 0) for moment in since.values()]
    return select(*sums).select_from(Attempt)
