from datetime import UTC, datetime, timedelta

import pytest

from mailservice.database import transaction
from mailservice.models import Attempt, AttemptStatus, Batch
from mailservice.services import recent
from mailservice.services.recent import Period
from tests import factories
from tests.queries import counted

NOW = datetime(2026, 5, 13, 22, 30, tzinfo=UTC)  # half past one on the 14th in Moscow
DAY = timedelta(days=1)


@pytest.fixture
def owner(app):
    return factories.user(time_zone="Europe/Moscow")


def attempt(owner, due_at, *, sent, status=AttemptStatus.DONE):
    mailing = factories.mailing(owner, clients=[])
    is_open = status in Attempt.OPEN
    with transaction() as session:
        row = Attempt(mailing_id=mailing.id, owner_id=owner.id, occurrence=0, due_at=due_at, status=status)
        row.sent = 0 if is_open else sent
        session.add(row)
        session.flush()
        if is_open:
            session.add(Batch(attempt_id=row.id, number=1, size=sent, waiting=0, sent=sent))


def test_a_day_begins_at_the_persons_midnight(owner):
    assert recent.begins(Period.TODAY, owner.time_zone, NOW) == datetime(2026, 5, 13, 21, tzinfo=UTC)
    assert recent.begins(Period.WEEK, owner.time_zone, NOW) == datetime(2026, 5, 7, 21, tzinfo=UTC)


def test_each_number_is_the_sum_of_the_list_behind_it(owner):
    attempt(owner, NOW, sent=1, status=AttemptStatus.SENDING)
    attempt(owner, NOW - timedelta(hours=1), sent=2)
    attempt(owner, NOW - timedelta(hours=2), sent=4)  # still the 13th there
    attempt(owner, NOW - 6 * DAY, sent=8, status=AttemptStatus.CANCELLED)
    attempt(owner, NOW - 29 * DAY, sent=16)
    attempt(owner, NOW - 31 * DAY, sent=32)
    attempt(owner, NOW, sent=0, status=AttemptStatus.SKIPPED)
    attempt(factories.user(), NOW, sent=64)
    numbers = recent.sent(owner, NOW)
    assert numbers == {Period.TODAY: 3, Period.WEEK: 15, Period.MONTH: 31}
    for period, number in numbers.items():
        assert sum(line.counts.sent for line in recent.attempts(owner, period, NOW).items) == number


def test_the_numbers_cost_two_questions(owner):
    attempt(owner, NOW, sent=1)
    assert owner.time_zone
    with counted() as statements:
        recent.sent(owner, NOW)
    assert len([s for s in statements if s.startswith("SELECT")]) == 2
