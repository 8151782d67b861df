"""Reports over time: letters by period and by mailing, from the counts of attempts; by domain, from their deliveries.

An attempt belongs to the moment at which it was due, however long it took and whatever was sent again later.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, case, func, literal_column, select, text

from mailservice import clock
from mailservice.database import db
from mailservice.models import Attempt, Batch, Delivery, Mailing, Result, User
from mailservice.services import moments, pages
from mailservice.services.counting import STATES, Counts

MOST = 120  # periods of a report
QUARTER = 900  # seconds: all zones are whole quarters of an hour away from UTC
DOMAINS = 50
MOST_DELIVERIES = 100_000  # that a report by domain reads

_is_final = text("results.state <> 'deferred'")
_is_not_sent = text("results.state <> 'sent'")


class Step(enum.StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def first_day(self, day: date) -> date:
        """The first day of the period that a day lies in; weeks begin on Mondays."""
        match self:
            case Step.DAY:
                return day
            case Step.WEEK:
                return day - timedelta(days=day.weekday())
            case Step.MONTH:
                return day.replace(day=1)

    def next(self, begin: date, times: int = 1) -> date:
        if self is Step.MONTH:
            months = begin.year * 12 + begin.month - 1 + times
            return date(months // 12, months % 12 + 1, 1)
        return begin + times * timedelta(days=1 if self is Step.DAY else 7)


class Span(NamedTuple):
    """Whole days in a zone, `first` and `last` among them."""

    first: date
    last: date
    zone: str

    @property
    def moments(self) -> tuple[datetime, datetime]:
        """From the one until before the other."""
        begin, end = (datetime.combine(day, time.min) for day in (self.first, self.last + timedelta(days=1)))
        return clock.to_utc(begin, self.zone), clock.to_utc(end, self.zone)


@dataclass(frozen=True)
class Period:
    first_day: date
    attempts: int
    counts: Counts


@dataclass(frozen=True)
class MailingLine:
    mailing_id: int
    title: str
    attempts: int
    counts: Counts


@dataclass(frozen=True)
class Domains:
    """Counts by domain, the largest first; `attempts` are those that were read, the newest ones of the span."""

    lines: list[tuple[str, Counts]]
    attempts: int
    is_cut: bool


def span(step: Step, *, first: date | None, last: date | None, zone: str) -> Span:
    """What was asked for, as far as it makes sense: by default the last 30 days, 12 weeks or 12 months."""
    last = last or clock.now().astimezone(ZoneInfo(zone)).date()
    usual = {Step.DAY: 29, Step.WEEK: 11, Step.MONTH: 11}[step]
    if first is None or first > last:
        first = step.next(step.first_day(last), -usual)
    return Span(max(first, step.next(step.first_day(last), 1 - MOST)), last, zone)


def by_period(owner: User, of: Span, step: Step, *, mailing_id: int | None = None) -> list[Period]:
    """All periods of the span, in order, also those without a letter."""
    quarter = moments.since_epoch(Attempt.due_at, QUARTER)
    query: Any = select(quarter, func.count(), *_sums()).where(*_within(owner, of, mailing_id)).group_by(quarter)
    sums: dict[date, Counter[str]] = {}
    begin = step.first_day(of.first)
    while begin <= of.last:
        sums[begin] = Counter()
        begin = step.next(begin)
    zone = ZoneInfo(of.zone)
    for at, attempts, *numbers in db.session.execute(query):
        day = datetime.fromtimestamp(at * QUARTER, UTC).astimezone(zone).date()
        sums[step.first_day(day)].update({"attempts": attempts, **dict(zip(STATES, map(int, numbers), strict=True))})
    return [Period(begin, found.pop("attempts", 0), Counts(**found)) for begin, found in sums.items()]


def by_mailing(owner: User, of: Span, *, number: int = 1, size: int = 50) -> pages.Page[MailingLine]:
    """Mailings that were due within the span, those with the most letters first."""
    sums = (
        select(Attempt.mailing_id, func.count().label("attempts"), *_sums())
        .where(*_within(owner, of, None))
        .group_by(Attempt.mailing_id)
        .subquery()
    )
    counts = [sums.c[state] for state in STATES]
    query: Any = select(Mailing.id, Mailing.title, sums.c.attempts, *counts).join(sums, sums.c.mailing_id == Mailing.id)
    query = query.order_by(sum(counts[1:], counts[0]).desc(), Mailing.id.desc())
    page = pages.fetch(query, number=number, size=size, rows=True)
    return pages.Page([_mailing_line(*row) for row in page.items], page.number, page.size, page.total)


def _mailing_line(mailing_id: int, title: str, attempts: int, *numbers: int) -> MailingLine:
    return MailingLine(mailing_id, title, attempts, Counts(**dict(zip(STATES, map(int, numbers), strict=True))))


def by_domain(owner: User, of: Span, *, mailing_id: int | None = None) -> Domains:
    """Of attempts that are through: the newest ones of the span that have `MOST_DELIVERIES` between them."""
    query = select(Attempt.id, Attempt.audience).where(*_within(owner, of, mailing_id))
    query = query.where(Attempt.status.not_in(Attempt.OPEN), Attempt.audience > 0)
    chosen: list[int] = []
    total, is_cut = 0, False
    for attempt_id, audience in db.session.execute(query.order_by(Attempt.due_at.desc(), Attempt.id.desc())):
        if chosen and total + audience > MOST_DELIVERIES:
            is_cut = True
            break
        chosen.append(attempt_id)
        total += audience
    return Domains(_domains_of(chosen), len(chosen), is_cut)


def domains_of(attempt: Attempt) -> Domains:
    return Domains([] if attempt.is_open else _domains_of([attempt.id]), 1, False)


def _domains_of(attempt_ids: Sequence[int]) -> list[tuple[str, Counts]]:
    """Only what was not sent is looked up among the results; the rest of a closed attempt was."""
    if not attempt_ids:
        return []
    domain = _domain()
    every = select(domain, func.count()).where(Delivery.attempt_id.in_(attempt_ids))
    every = every.group_by(domain).order_by(func.count().desc(), domain).limit(DOMAINS)
    totals = {str(name): int(number) for name, number in db.session.execute(every)}
    lost = (
        select(domain, Result.state, func.count())
        .select_from(Result)
        .join(Delivery, (Delivery.id == Result.delivery_id) & (Delivery.round == Result.round))
        .where(Result.attempt_id.in_(attempt_ids), _is_not_sent, _is_final)
        .group_by(domain, Result.state)
    )
    found: dict[str, dict[str, int]] = {name: {} for name in totals}
    for name, state, number in db.session.execute(lost):
        if name in found:
            found[name][state.value] = number
    return [(name, Counts(sent=totals[name] - sum(rest.values()), **rest)) for name, rest in found.items()]


def _domain() -> ColumnElement[str]:
    at: ColumnElement[str] = literal_column("'@'")
    if db.engine.dialect.name == "sqlite":
        return func.substr(Delivery.email_normalised, func.instr(Delivery.email_normalised, at) + literal_column("1"))
    return func.split_part(Delivery.email_normalised, at, literal_column("2"))


def _within(owner: User, of: Span, mailing_id: int | None) -> list[ColumnElement[bool]]:
    begin, end = of.moments
    conditions = [Attempt.owner_id == owner.id, Attempt.due_at >= begin, Attempt.due_at < end]
    return [*conditions, Attempt.mailing_id == mailing_id] if mailing_id is not None else conditions


def _sums() -> list[ColumnElement[int]]:
    """By state: of an open attempt the sums over its batches, of a closed one its own columns."""
    return [func.sum(_count(state)).label(state) for state in STATES]


def _count(state: str) -> ColumnElement[int]:
    of_batches = select(func.coalesce(func.sum(getattr(Batch, state)), 0)).where(Batch.attempt_id == Attempt.id)
    closed: Any = 0 if state == "waiting" else getattr(Attempt, state)
    return case((Attempt.status.in_(Attempt.OPEN), of_batches.correlate(Attempt).scalar_subquery()), else_=closed)
