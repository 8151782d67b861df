"""Recurrence: when a mailing fires. Arithmetic from the anchor, never "last run plus a day"."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import count as count_from
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Mailing, MailingStatus, Periodicity, Reason

STEP = {Periodicity.DAILY: timedelta(days=1), Periodicity.WEEKLY: timedelta(days=7)}
# An occurrence later than this is not made up for: a digest of the morning is of no use at night.
LATEST = timedelta(hours=6)
LATEST_ONCE = timedelta(hours=24)


def occurrence(start_local: datetime, time_zone: str, periodicity: Periodicity, n: int) -> datetime:
    """The moment (UTC) of the n-th firing, n from 0.

    Local calendar days or months are added to the local start, and the wall clock then read in its zone:
    in the spring gap it moves forward by the gap, in the autumn fold it is the first of the two
    (PEP 495, fold=0). Months keep the start's day, clamped to the month's end.
    """
    return clock.to_utc(wall(start_local, periodicity, n), time_zone)


def wall(start_local: datetime, periodicity: Periodicity, n: int) -> datetime:
    """What the calendar and the clock on the wall are meant to show at the n-th firing."""
    if periodicity is Periodicity.MONTHLY:
        return _add_months(start_local, n)
    return start_local + n * STEP.get(periodicity, timedelta())


def _add_months(local: datetime, months: int) -> datetime:
    years, month = divmod(local.month - 1 + months, 12)
    year, month = local.year + years, month + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    return local.replace(year=year, month=month, day=day)


@dataclass(frozen=True)
class Schedule:
    """When a mailing fires, as a value."""

    start_local: datetime
    time_zone: str
    periodicity: Periodicity
    end_local: datetime | None = None

    @cached_property
    def end_at(self) -> datetime | None:
        """The moment (UTC) from which nothing starts any more."""
        return clock.to_utc(self.end_local, self.time_zone) if self.end_local else None

    def at(self, n: int) -> datetime | None:
        """The moment of the n-th firing; None where there is none: past the end, or past the calendar."""
        if n and self.periodicity is Periodicity.ONCE:
            return None
        try:
            moment = occurrence(self.start_local, self.time_zone, self.periodicity, n)
        except (OverflowError, ValueError):  # beyond the year 9999
            return None
        return None if self.end_at and moment >= self.end_at else moment

    def first_after(self, moment: datetime) -> int:
        """The number of the first firing later than `moment`, whether or not the end leaves room for it."""
        n = max(0, self._estimate(moment) - 2)
        while (at := self.at(n)) is not None and at <= moment:
            n += 1
        return n

    def _estimate(self, moment: datetime) -> int:
        """About how many firings lie before `moment`; off by one or two around month ends and DST."""
        local = moment.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=None)
        if self.periodicity is Periodicity.MONTHLY:
            return (local.year - self.start_local.year) * 12 + local.month - self.start_local.month
        step = STEP.get(self.periodicity)
        return (local - self.start_local) // step if step else 0

    def firings(self, *, after: datetime) -> Iterator[datetime]:
        """The moments later than `after`, in order. Where a zone skips a day, two firings are one moment."""
        for n in count_from(self.first_after(after)):
            at = self.at(n)
            if at is None:
                return
            if at > after:
                yield at
                after = at

    def tolerance(self) -> timedelta:
        """How late a firing may still begin: half a period, six hours at most; a day for the only one."""
        if self.periodicity is Periodicity.ONCE:
            return timedelta.max if self.end_at else LATEST_ONCE
        return LATEST  # the shortest period is a day, so half of it is never less


def from_next(plan: Schedule, now: datetime) -> Schedule:
    """The same schedule without what has passed; monthly from the next month that has its day.

    That of a `once` mailing, or one with nothing ahead, stays as it is.
    """
    if plan.periodicity is Periodicity.ONCE or plan.at(n := plan.first_after(now)) is None:
        return plan
    if plan.periodicity is Periodicity.MONTHLY:
        while wall(plan.start_local, plan.periodicity, n).day != plan.start_local.day:
            n += 1
    start = wall(plan.start_local, plan.periodicity, n)
    if plan.end_local and start >= plan.end_local:
        return plan
    return replace(plan, start_local=start)


def of(mailing: Mailing) -> Schedule:
    return Schedule(mailing.start_local, mailing.time_zone, mailing.periodicity, mailing.end_local)


def rearm(mailing: Mailing, now: datetime) -> None:
    """Sets the next firing of a changed schedule.

    A mailing that has fired before fires next when its new schedule says so, never just because it was
    changed; one that has not is as good as new.
    """
    if _next_free_number(mailing) == 0:
        arm(mailing, now)
        return
    mailing.first_occurrence = _next_free_number(mailing)
    _aim_after(mailing, now)


def arm(mailing: Mailing, now: datetime) -> None:
    """Sets the first firing of a new schedule.

    A start that has passed (and an end that has not) makes the first firing due at once, however late.
    """
    plan = of(mailing)
    mailing.first_occurrence = _next_free_number(mailing)
    start = plan.at(0)
    if start is None or (plan.end_at and plan.end_at <= now):
        _set_next(mailing, None, None)
    else:
        _set_next(mailing, mailing.first_occurrence, max(start, now))


def advance(mailing: Mailing) -> None:
    """Moves on from the firing that `next_at` names to the next one, or to none."""
    assert mailing.next_at is not None
    _aim_after(mailing, mailing.next_at)


def disarm(mailing: Mailing) -> None:
    """A draft: it fires at no time, and nothing of it has been."""
    mailing.is_draft, mailing.status = True, MailingStatus.CREATED
    mailing.next_occurrence = mailing.next_at = None


def fire_now(mailing: Mailing, now: datetime) -> None:
    """The next firing is now.

    That of a `once` mailing is moved, if it still lies ahead. Any other is one more, outside the schedule: it has
    the number −1, −2 …, so that the schedule's own numbers stay as they are.
    """
    if mailing.periodicity is Periodicity.ONCE and mailing.next_occurrence is not None:
        number = mailing.next_occurrence
    else:
        lowest = db.session.scalar(select(func.min(Attempt.occurrence)).where(Attempt.mailing_id == mailing.id))
        number = min(lowest or 0, 0) - 1
    _set_next(mailing, number, now)


def aim_again(mailing: Mailing, moment: datetime) -> None:
    """The next firing is the first one of the schedule after `moment`."""
    _aim_after(mailing, moment)


def rearm_after_end_change(mailing: Mailing, now: datetime) -> None:
    """Only the end has changed: the firings keep their numbers, those that have passed stay passed."""
    plan = of(mailing)
    if mailing.next_at is None:
        _aim_after(mailing, now)
    elif plan.end_at and mailing.next_at >= plan.end_at:
        _set_next(mailing, None, None)


def resume(mailing: Mailing, now: datetime) -> None:
    """After a pause: firings that fell into it are recorded as skipped, never made up for.

    The only firing of a `once` mailing stays due: the planner decides whether it is too late for it.
    """
    if mailing.periodicity is not Periodicity.ONCE:
        skip_missed(mailing, Reason.PAUSED, now)
    still_open = select(Attempt).where(Attempt.mailing_id == mailing.id, Attempt.status.in_(Attempt.OPEN))
    for attempt in db.session.scalars(still_open):
        attempt.deadline_at = now + LATEST_ONCE


def skip(mailing: Mailing, reason: Reason, now: datetime) -> None:
    """Records the firing that is due as an attempt that was not made, and moves on."""
    assert mailing.next_occurrence is not None
    assert mailing.next_at is not None
    db.session.add(_skipped(mailing, mailing.next_occurrence, mailing.next_at, reason, now))
    db.session.flush()
    advance(mailing)


def skip_missed(mailing: Mailing, reason: Reason, now: datetime) -> None:
    """The same for all firings that have come, in one go: a year of them may have."""
    plan, number, at = of(mailing), mailing.next_occurrence, mailing.next_at
    used = _next_free_number(mailing) - mailing.first_occurrence
    while number is not None and at is not None and at <= now:
        db.session.add(_skipped(mailing, number, at, reason, now))
        n = max(plan.first_after(at), number + 1 - mailing.first_occurrence, used)
        number, at = mailing.first_occurrence + n, plan.at(n)
    if at != mailing.next_at:
        db.session.flush()
        _set_next(mailing, number if at else None, at)


def _skipped(mailing: Mailing, number: int, at: datetime, reason: Reason, now: datetime) -> Attempt:
    return Attempt(
        mailing_id=mailing.id,
        owner_id=mailing.owner_id,
        occurrence=number,
        due_at=at,
        status=AttemptStatus.SKIPPED,
        reason=reason,
        finished_at=now,
    )


def _aim_after(mailing: Mailing, moment: datetime) -> None:
    plan = of(mailing)
    n = plan.first_after(moment)
    at = plan.at(n)
    used = _next_free_number(mailing) - mailing.first_occurrence
    if at is not None and n < used:  # its number is taken: this firing has been, at another moment
        n, at = used, plan.at(used)
    _set_next(mailing, mailing.first_occurrence + n if at else None, at)


def _set_next(mailing: Mailing, number: int | None, at: datetime | None) -> None:
    mailing.next_occurrence, mailing.next_at = number, at
    if at is None:
        settle(mailing)
    elif mailing.status is MailingStatus.FINISHED:
        mailing.status = MailingStatus.RUNNING


def settle(mailing: Mailing) -> None:
    """Finished: no firing ahead and no attempt open."""
    if mailing.next_at is None and not has_open_attempt(mailing):
        mailing.status = MailingStatus.FINISHED


def has_fired(mailing: Mailing) -> bool:
    """Whether its own schedule has ever begun, or skipped, an attempt."""
    return _next_free_number(mailing) > 0


def has_open_attempt(mailing: Mailing) -> bool:
    if mailing.id is None:
        return False
    query = select(Attempt.id).where(Attempt.mailing_id == mailing.id, Attempt.status.in_(Attempt.OPEN))
    return db.session.scalars(query).first() is not None


def _next_free_number(mailing: Mailing) -> int:
    if mailing.id is None:
        return 0
    query = select(func.max(Attempt.occurrence)).where(Attempt.mailing_id == mailing.id)
    last = db.session.scalar(query)
    return 0 if last is None else max(last + 1, 0)
