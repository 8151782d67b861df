"""What runs now, read from rows as the engine leaves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Batch, Breaker, Mailing, Reason, Result, State
from mailservice.services import watching
from mailservice.services.watching import Stage
from tests import factories
from tests.engine import change
from tests.queries import counted

SERVERS = ["a:25", "b:25"]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def owner(app):
    return factories.user()


def running(owner, *, status=AttemptStatus.SENDING, reason=None, last_tried_at=None, **batch) -> Mailing:
    mailing = factories.mailing(owner, clients=[])
    now = clock.now()
    values = {"size": 10, "waiting": 6, "sent": 4} | batch
    with transaction() as session:
        row = Attempt(mailing_id=mailing.id, owner_id=owner.id, occurrence=0, due_at=now, status=status)
        row.reason, row.began_at, row.last_tried_at = reason, now, last_tried_at or now
        session.add(row)
        session.flush()
        session.add(Batch(attempt_id=row.id, number=1, **values))
    return mailing


def look(mailing) -> watching.Watch:
    db.session.rollback()
    return watching.one(db.session.get_one(Mailing, mailing.id), servers=SERVERS, now=clock.now())


def break_servers(*names) -> None:
    with transaction() as session:
        for n, name in enumerate(names, start=1):
            session.add(Breaker(name=name, retry_at=clock.now() + n * MINUTE, last_reply=f"refused by {name}"))


def results(mailing, moments, state=State.SENT) -> None:
    attempt_id = db.session.query(Attempt.id).filter_by(mailing_id=mailing.id).scalar()
    rows = [
        {"delivery_id": n, "attempt_id": attempt_id, "round": 1, "state": state, "tried_at": moment}
        for n, moment in enumerate(moments)
    ]
    with transaction() as session:
        session.execute(insert(Result), rows)


HELD = {"holder": "somebody", "lease_until": datetime(2100, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("values", "stage"),
    [
        ({"status": AttemptStatus.PLANNED}, Stage.PLANNED),
        ({"status": AttemptStatus.PREPARING}, Stage.PREPARING),
        ({"reason": Reason.BY_OWNER}, Stage.STOPPING),
        (HELD, Stage.SENDING),
        ({}, Stage.SENDING),
        ({"last_tried_at": datetime(2020, 1, 1, tzinfo=UTC)}, Stage.QUEUED),
        ({"not_before": datetime(2100, 1, 1, tzinfo=UTC)}, Stage.RETRYING),
    ],
)
def test_each_stage_is_told_by_the_rows(owner, values, stage):
    watch = look(running(owner, **values))
    assert watch.stage is stage
    assert watch.is_live
    assert (watch.counts.sent, watch.counts.waiting) == (4, 6)


def test_what_waits_for_a_retry_says_when(owner):
    at = clock.now() + 5 * MINUTE
    assert look(running(owner, not_before=at)).until == at


def test_a_pause_and_a_managers_stop_come_before_what_the_sender_does(owner):
    mailing = running(owner, **HELD)
    change(mailing, paused_at=clock.now())
    assert look(mailing).stage is Stage.PAUSED
    change(mailing, disabled_at=clock.now())
    assert look(mailing).stage is Stage.STOPPING


def test_only_when_all_servers_are_away_the_mailing_waits_for_them(owner):
    mailing = running(owner, **HELD)
    break_servers("b:25")
    assert look(mailing).stage is Stage.SENDING
    break_servers("a:25", "of another time:25")
    watch = look(mailing)
    assert watch.stage is Stage.SERVER_AWAY
    assert watch.why.startswith("refused by ")
    assert watch.until is not None


def test_the_speed_is_that_of_the_last_minute_and_says_how_long_it_still_takes(owner):
    mailing = running(owner, size=1000, waiting=900, sent=100, **HELD)
    now = clock.now()
    results(mailing, [now - 11 * SECOND + n * SECOND / 2 for n in range(21)])
    watch = look(mailing)
    assert watch.rate == pytest.approx(2)
    assert watch.left == timedelta(seconds=450)


def test_old_and_deferred_results_tell_no_speed(owner):
    mailing = running(owner, **HELD)
    results(mailing, [clock.now() - 2 * MINUTE, clock.now() - MINUTE - SECOND])
    results(mailing, [clock.now() - SECOND, clock.now()], State.DEFERRED)
    watch = look(mailing)
    assert (watch.rate, watch.left) == (None, None)


def test_before_an_attempt_the_undoing_and_the_moment_after_it_are_seen(owner):
    now = clock.now()
    held = factories.mailing(owner, next_at=now, next_occurrence=0, not_before=now + 20 * SECOND)
    assert look(held).stage is Stage.HELD
    due = factories.mailing(owner, next_at=now - SECOND, next_occurrence=0, not_before=now - SECOND)
    assert look(due).stage is Stage.DUE
    idle = factories.mailing(owner)
    assert look(idle).stage is Stage.IDLE
    assert not look(idle).is_live


def test_all_that_runs_costs_as_many_questions_as_one(owner):
    def questions() -> tuple[int, int]:
        db.session.rollback()
        with counted() as statements:
            found = watching.active(owner, servers=SERVERS, now=clock.now())
        return len(found), len(statements)

    running(owner)
    running(factories.user())
    one, few = questions()
    for _ in range(4):
        running(owner, **HELD)
    assert (one, questions()) == (1, (5, few))
