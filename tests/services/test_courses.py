from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from mailservice.database import transaction
from mailservice.models import Delivery, Result
from mailservice.services import courses
from tests import factories
from tests.services.test_reports import attempt

NOON = datetime(2026, 11, 5, 12, 0, tzinfo=UTC)


@pytest.fixture
def owner(app):
    return factories.user()


def spread_over(row, *seconds):
    with transaction() as session:
        results = session.scalars(select(Result).where(Result.attempt_id == row.id).order_by(Result.id))
        for result, second in zip(results, seconds, strict=True):
            result.tried_at = NOON + timedelta(seconds=second)


def told(course):
    return [(int((slot.at - NOON).total_seconds()), slot.counts.sent, slot.counts.failed) for slot in course.slots]


def test_results_stand_where_they_came_and_a_quiet_time_is_an_empty_column(owner):
    row = attempt(owner, {"sent": 2, "failed": 1})
    spread_over(row, 0.2, 0.9, 3)
    course = courses.of(row, total=3, zone="UTC")
    assert told(course) == [(0, 2, 0), (1, 0, 0), (2, 0, 0), (3, 0, 1)]
    assert not course.is_by_batch


def test_a_long_attempt_has_few_columns_and_they_begin_at_round_times_of_the_zone(owner):
    row = attempt(owner, {"sent": 3})
    spread_over(row, 100, 12 * 86400, 30 * 86400)
    course = courses.of(row, total=3, zone="Asia/Kolkata")  # 5:30 before UTC
    assert course.step == timedelta(days=1)
    assert course.slots[0].at == datetime(2026, 11, 4, 18, 30, tzinfo=UTC)
    assert len(course.slots) == 31
    assert sum(slot.counts.sent for slot in course.slots) == 3


def test_only_the_last_round_counts(owner):
    row = attempt(owner, {"failed": 2})
    with transaction() as session:
        session.scalars(select(Delivery)).first().round = 2
    assert sum(slot.counts.failed for slot in courses.of(row, total=2, zone="UTC").slots) == 1


def test_a_huge_attempt_is_counted_by_its_batches(owner, monkeypatch):
    monkeypatch.setattr(courses, "EXACT", 2)
    row = attempt(owner, {"sent": 2, "failed": 1, "waiting": 1})
    course = courses.of(row, total=4, zone="UTC")
    assert course.is_by_batch
    assert [(slot.counts.sent, slot.counts.failed) for slot in course.slots] == [(2, 1)]


def test_where_nothing_is_final_there_is_no_course(owner):
    assert courses.of(attempt(owner, {"waiting": 2}), total=2, zone="UTC") is None
