from datetime import UTC, date, datetime

import pytest

from mailservice.database import transaction
from mailservice.models import AttemptStatus, Delivery
from mailservice.services import periods
from mailservice.services.periods import Span, Step
from tests import factories
from tests.services.test_reports import attempt

NOVEMBER = Span(date(2026, 11, 1), date(2026, 11, 30), "Europe/Moscow")


@pytest.fixture
def owner(app):
    return factories.user()


def sent(owner, at, spread, **values):
    return attempt(owner, spread, status=AttemptStatus.DONE, due_at=at, audience=sum(spread.values()), **values)


def test_an_attempt_counts_on_the_day_of_the_persons_zone_at_which_it_was_due(owner):
    sent(owner, datetime(2026, 11, 2, 20, 59, tzinfo=UTC), {"sent": 2})  # 23:59 in Moscow
    sent(owner, datetime(2026, 11, 2, 21, 0, tzinfo=UTC), {"sent": 3, "failed": 1})  # the next day
    found = {p.first_day: p for p in periods.by_period(owner, NOVEMBER, Step.DAY)}
    assert len(found) == 30
    assert (found[date(2026, 11, 2)].attempts, found[date(2026, 11, 2)].counts.sent) == (1, 2)
    assert (found[date(2026, 11, 3)].counts.sent, found[date(2026, 11, 3)].counts.failed) == (3, 1)
    assert sum(p.attempts for p in found.values()) == 2


def test_the_ends_of_the_span_are_midnights_of_the_zone(owner):
    sent(owner, datetime(2026, 10, 31, 20, 59, tzinfo=UTC), {"sent": 1})
    sent(owner, datetime(2026, 10, 31, 21, 0, tzinfo=UTC), {"sent": 1})
    sent(owner, datetime(2026, 11, 30, 20, 59, tzinfo=UTC), {"sent": 1})
    sent(owner, datetime(2026, 11, 30, 21, 0, tzinfo=UTC), {"sent": 1})
    assert sum(p.attempts for p in periods.by_period(owner, NOVEMBER, Step.DAY)) == 2


@pytest.mark.parametrize(
    ("step", "begins"),
    [
        (Step.WEEK, [date(2026, 10, 26), *(date(2026, 11, d) for d in (2, 9, 16, 23, 30))]),
        (Step.MONTH, [date(2026, 11, 1)]),
    ],
)
def test_weeks_begin_on_mondays_and_months_on_their_first(owner, step, begins):
    sent(owner, datetime(2026, 11, 8, 12, 0, tzinfo=UTC), {"sent": 1})
    found = periods.by_period(owner, NOVEMBER, step)
    assert [p.first_day for p in found] == begins
    assert [p.first_day for p in found if p.attempts] == [step.first_day(date(2026, 11, 8))]


def test_an_attempt_under_way_counts_as_far_as_it_is(owner):
    attempt(owner, {"sent": 2, "waiting": 3}, due_at=datetime(2026, 11, 5, tzinfo=UTC))
    (found,) = (p for p in periods.by_period(owner, NOVEMBER, Step.DAY) if p.attempts)
    assert (found.counts.sent, found.counts.waiting) == (2, 3)
    (line,) = periods.by_mailing(owner, NOVEMBER).items
    assert (line.counts.sent, line.counts.waiting) == (2, 3)


def test_mailings_stand_by_their_letters_and_each_owner_sees_his_own(owner):
    at = datetime(2026, 11, 5, tzinfo=UTC)
    few, many = factories.mailing(owner, title="Few"), factories.mailing(owner, title="Many")
    sent(owner, at, {"sent": 1}, mailing=few)
    for number in range(2):
        sent(owner, at, {"sent": 2, "unknown": 1}, mailing=many, occurrence=number)
    sent(factories.user(), at, {"sent": 9})
    lines = periods.by_mailing(owner, NOVEMBER).items
    assert [(line.title, line.attempts, line.counts.sent) for line in lines] == [("Many", 2, 4), ("Few", 1, 1)]
    only = periods.by_period(owner, NOVEMBER, Step.MONTH, mailing_id=few.id)
    assert [p.counts.total for p in only] == [1]


def with_domains(owner, domains, **values):
    """`domains`: for each delivery of the attempt the domain it goes to, in order."""
    row = sent(owner, datetime(2026, 11, 5, tzinfo=UTC), **values)
    with transaction() as session:
        of_attempt = session.query(Delivery).filter_by(attempt_id=row.id).order_by(Delivery.id)
        for delivery, domain in zip(of_attempt, domains, strict=True):
            delivery.email_normalised = f"{delivery.id}@{domain}"
    return row


def test_by_domain_each_state_is_that_of_the_last_round(owner):
    row = with_domains(owner, ["a.example", "b.example", "a.example"], spread={"sent": 2, "failed": 1})
    assert [(name, c.sent, c.failed) for name, c in periods.domains_of(row).lines] == [
        ("a.example", 1, 1),
        ("b.example", 1, 0),
    ]
    assert periods.by_domain(owner, NOVEMBER).lines == periods.domains_of(row).lines
    assert periods.by_domain(factories.user(), NOVEMBER).lines == []


def test_by_domain_only_the_newest_attempts_are_read(owner, monkeypatch):
    monkeypatch.setattr(periods, "MOST_DELIVERIES", 3)
    mailing = factories.mailing(owner)
    with_domains(owner, ["old.example"] * 2, spread={"sent": 2}, mailing=mailing)
    with_domains(owner, ["new.example"] * 2, spread={"sent": 2}, mailing=mailing, occurrence=1)
    found = periods.by_domain(owner, NOVEMBER)
    assert ([name for name, _ in found.lines], found.attempts, found.is_cut) == (["new.example"], 1, True)


def test_the_domains_of_an_attempt_under_way_are_not_counted_yet(owner):
    row = attempt(owner, {"sent": 1, "waiting": 1})
    assert periods.domains_of(row).lines == []


def test_a_span_without_sense_is_the_usual_one_and_a_long_one_is_cut(app):
    usual = periods.span(Step.DAY, first=None, last=date(2026, 11, 30), zone="UTC")
    assert usual.first == date(2026, 11, 1)
    wrong = periods.span(Step.DAY, first=date(2027, 1, 1), last=date(2026, 11, 30), zone="UTC")
    assert wrong == usual
    long = periods.span(Step.MONTH, first=date(2000, 1, 1), last=date(2026, 11, 30), zone="UTC")
    assert long.first == date(2016, 12, 1)
