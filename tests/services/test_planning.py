"""From a schedule to attempts: what is due at once, what came too late, and that nothing is planned twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update

from mailservice import clock
from mailservice.database import db, transaction, write
from mailservice.jobs import ticks
from mailservice.models import Attempt, AttemptStatus, Client, Mailing, MailingStatus, Periodicity, Reason
from mailservice.services import mailings, planning
from mailservice.services.audiences import everyone
from mailservice.services.schedule import Schedule
from tests import factories
from tests.engine import change, run_senders

pytestmark = pytest.mark.usefixtures("app")

ONCE, DAILY, WEEKLY, MONTHLY = Periodicity
ZONE = "Europe/Berlin"
NOW = datetime(2024, 5, 15, 12, 0, tzinfo=UTC)
HERE = NOW.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def owner():
    return factories.user()


def make(owner, start, periodicity=DAILY, end=None) -> Mailing:
    """Made by the service, as a form would, to one client."""
    factories.client(owner)
    plan = Schedule(start, ZONE, periodicity, end)
    message_id = factories.message(owner).id
    with transaction():
        return mailings.create(owner, title="Digest", message_id=message_id, plan=plan, audience=everyone())


def change_schedule(owner, mailing, start, periodicity=DAILY, end=None) -> None:
    plan = Schedule(start, ZONE, periodicity, end)
    with transaction():
        own = mailings.own(owner, mailing.id, lock=True)
        mailings.update(own, owner, title="Digest", message_id=own.message_id, plan=plan, audience=None)


def resume(owner, mailing) -> None:
    with transaction():
        mailings.resume(mailings.own(owner, mailing.id, lock=True))


def attempts(mailing) -> list[tuple[int, str, Reason | None]]:
    """(occurrence, status, reason) of each attempt."""
    db.session.rollback()
    query = select(Attempt).where(Attempt.mailing_id == mailing.id).order_by(Attempt.occurrence)
    return [(a.occurrence, a.status.value, a.reason) for a in db.session.scalars(query)]


def fresh(mailing) -> Mailing:
    db.session.rollback()
    return db.session.get_one(Mailing, mailing.id)


def finish_attempts() -> None:
    """As if a sender had been through with whatever is open."""
    with write() as connection:
        connection.execute(update(Attempt).where(Attempt.status.in_(Attempt.OPEN)).values(status=AttemptStatus.DONE))


PLANNED, SKIPPED, DONE = "planned", "skipped", "done"


@pytest.mark.parametrize("late", [timedelta(), MINUTE, 5 * HOUR, 30 * DAY, 5000 * DAY])
@pytest.mark.parametrize("periodicity", list(Periodicity))
def test_a_mailing_made_inside_its_window_is_due_at_once_however_late(owner, periodicity, late):
    mailing = make(owner, HERE - late, periodicity, end=HERE + DAY)
    assert planning.due(clock.now()) == [mailing.id]
    ticks.plan_due()
    assert attempts(mailing) == [(0, PLANNED, None)]
    assert fresh(mailing).status is MailingStatus.RUNNING


@pytest.mark.parametrize(
    ("periodicity", "next_local", "number"),
    [
        (DAILY, HERE.replace(hour=9) + DAY, 41),
        (WEEKLY, HERE.replace(hour=9) + 2 * DAY, 6),
        (MONTHLY, datetime(2024, 6, 5, 9), 2),  # noqa: DTZ001
    ],
)
def test_after_a_late_beginning_the_next_firing_is_where_the_calendar_has_it(owner, periodicity, next_local, number):
    mailing = make(owner, HERE.replace(hour=9) - 40 * DAY, periodicity)
    ticks.plan_due()
    assert fresh(mailing).next_at == clock.to_utc(next_local, ZONE)
    assert fresh(mailing).next_occurrence == number


def test_a_mailing_in_the_future_is_due_when_its_time_comes_and_not_before(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    ticks.plan_due()
    assert attempts(mailing) == []
    assert fresh(mailing).status is MailingStatus.CREATED
    time_machine.move_to(NOW + HOUR - timedelta(microseconds=1), tick=False)
    assert planning.due(clock.now()) == []
    time_machine.move_to(NOW + HOUR, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [(0, PLANNED, None)]


@pytest.mark.parametrize(("late", "sent"), [(HOUR, True), (6 * HOUR, True), (6 * HOUR + timedelta(seconds=1), False)])
def test_a_recurring_firing_missed_by_more_than_six_hours_is_recorded_and_not_sent(owner, time_machine, late, sent):
    mailing = make(owner, HERE + HOUR)
    time_machine.move_to(NOW + HOUR + late, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [(0, PLANNED, None) if sent else (0, SKIPPED, Reason.MISSED)]
    assert fresh(mailing).next_at == NOW + HOUR + DAY


def test_each_missed_firing_is_recorded_and_the_last_is_sent_if_it_is_not_too_late(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    time_machine.move_to(NOW + HOUR + 3 * DAY + HOUR, tick=False)
    ticks.plan_due()
    missed = [(n, SKIPPED, Reason.MISSED) for n in range(3)]
    assert attempts(mailing) == [*missed, (3, PLANNED, None)]
    assert fresh(mailing).next_occurrence == 4


def test_a_restored_backup_sends_nothing_of_the_time_it_slept_through(owner, time_machine):
    mailing = make(owner, HERE + HOUR, end=HERE + 5 * DAY)
    time_machine.move_to(NOW + 90 * DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [(n, SKIPPED, Reason.MISSED) for n in range(5)]
    assert fresh(mailing).status is MailingStatus.FINISHED
    assert fresh(mailing).next_at is None


@pytest.mark.parametrize(
    ("end", "late", "expected"),
    [
        (None, 23 * HOUR, (0, PLANNED, None)),
        (None, 24 * HOUR, (0, PLANNED, None)),
        (None, 25 * HOUR, (0, SKIPPED, Reason.MISSED)),
        (90 * DAY, 80 * DAY, (0, PLANNED, None)),
        (90 * DAY, 90 * DAY, (0, SKIPPED, Reason.ENDED)),
    ],
)
def test_the_only_firing_is_sent_until_its_end_or_within_a_day(owner, time_machine, end, late, expected):
    mailing = make(owner, HERE + HOUR, ONCE, end=HERE + HOUR + end if end else None)
    time_machine.move_to(NOW + HOUR + late, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [expected]
    assert fresh(mailing).next_at is None
    assert fresh(mailing).status is (MailingStatus.RUNNING if expected[1] == PLANNED else MailingStatus.FINISHED)


def test_nothing_begins_at_the_end_or_after_it(owner, time_machine):
    mailing = make(owner, HERE + HOUR, end=HERE + 2 * HOUR)
    time_machine.move_to(NOW + 2 * HOUR, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [(0, SKIPPED, Reason.ENDED)]
    assert fresh(mailing).status is MailingStatus.FINISHED


def test_a_firing_that_falls_due_while_the_one_before_runs_is_recorded_as_skipped(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    for day in range(3):
        time_machine.move_to(NOW + HOUR + day * DAY, tick=False)
        ticks.plan_due()
    assert attempts(mailing) == [(0, PLANNED, None), (1, SKIPPED, Reason.OVERLAP), (2, SKIPPED, Reason.OVERLAP)]
    finish_attempts()
    time_machine.move_to(NOW + HOUR + 3 * DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing)[3] == (3, PLANNED, None)


def test_what_a_pause_covers_is_recorded_as_skipped_and_never_made_up_for(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    change(mailing, paused_at=clock.now())
    time_machine.move_to(NOW + 3 * DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == []
    resume(owner, mailing)
    ticks.plan_due()
    assert attempts(mailing) == [(n, SKIPPED, Reason.PAUSED) for n in range(3)]
    assert fresh(mailing).next_at == NOW + HOUR + 3 * DAY
    time_machine.move_to(NOW + HOUR + 3 * DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing)[-1] == (3, PLANNED, None)


def test_the_only_firing_of_a_paused_mailing_goes_out_when_it_is_resumed_in_time(owner, time_machine):
    mailing = make(owner, HERE + HOUR, ONCE)
    change(mailing, paused_at=clock.now())
    time_machine.move_to(NOW + 5 * HOUR, tick=False)
    resume(owner, mailing)
    ticks.plan_due()
    assert attempts(mailing) == [(0, PLANNED, None)]


@pytest.mark.parametrize("who", ["disabled", "paused", "blocked", "unconfirmed"])
def test_who_may_not_send_plans_nothing(owner, who):
    mailing = make(owner, HERE)
    row, values = {
        "disabled": (mailing, {"disabled_at": clock.now()}),
        "paused": (mailing, {"paused_at": clock.now()}),
        "blocked": (owner, {"blocked_at": clock.now()}),
        "unconfirmed": (owner, {"confirmed_at": None}),
    }[who]
    change(row, **values)
    ticks.plan_due()
    assert attempts(mailing) == []


def test_a_changed_schedule_counts_on_from_the_old_one(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    for day in range(3):
        time_machine.move_to(NOW + HOUR + day * DAY, tick=False)
        ticks.plan_due()
        finish_attempts()
    change_schedule(owner, mailing, HERE + 10 * DAY, WEEKLY)
    assert (fresh(mailing).next_occurrence, fresh(mailing).next_at) == (3, NOW + 10 * DAY)
    for week in range(2):
        time_machine.move_to(NOW + (10 + 7 * week) * DAY, tick=False)
        ticks.plan_due()
        finish_attempts()
    assert [number for number, _, _ in attempts(mailing)] == [0, 1, 2, 3, 4]
    assert {status for _, status, _ in attempts(mailing)} == {DONE}


def test_a_finished_mailing_with_a_new_schedule_runs_again(owner, time_machine):
    mailing = make(owner, HERE, ONCE)
    ticks.plan_due()
    finish_attempts()
    change(mailing, status=MailingStatus.FINISHED)
    change_schedule(owner, mailing, HERE + DAY, ONCE)
    assert fresh(mailing).status is MailingStatus.RUNNING
    time_machine.move_to(NOW + DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == [(0, DONE, None), (1, PLANNED, None)]


def test_a_later_end_repeats_nothing_that_has_been(owner, time_machine):
    mailing = make(owner, HERE, end=HERE + HOUR)
    ticks.plan_due()
    assert fresh(mailing).next_at is None
    finish_attempts()
    change_schedule(owner, mailing, HERE, DAILY, end=HERE + 3 * DAY)
    assert (fresh(mailing).next_occurrence, fresh(mailing).next_at) == (1, NOW + DAY)
    ticks.plan_due()
    assert attempts(mailing) == [(0, DONE, None)]


def test_a_later_end_set_by_a_clock_that_stepped_back_repeats_nothing_either(owner, time_machine):
    mailing = make(owner, HERE, end=HERE + HOUR)
    ticks.plan_due()
    finish_attempts()
    time_machine.move_to(NOW - 2 * HOUR, tick=False)
    change_schedule(owner, mailing, HERE, DAILY, end=HERE + 3 * DAY)
    assert (fresh(mailing).next_occurrence, fresh(mailing).next_at) == (1, NOW + DAY)


def test_an_earlier_end_takes_back_what_lay_ahead(owner):
    mailing = make(owner, HERE, end=HERE + 5 * DAY)
    ticks.plan_due()
    finish_attempts()
    change_schedule(owner, mailing, HERE, DAILY, end=HERE + HOUR)
    assert (fresh(mailing).next_occurrence, fresh(mailing).next_at) == (None, None)
    assert fresh(mailing).status is MailingStatus.FINISHED


def test_a_clock_that_steps_back_plans_nothing_a_second_time(owner, time_machine):
    mailing = make(owner, HERE + HOUR)
    time_machine.move_to(NOW + HOUR + DAY, tick=False)
    ticks.plan_due()
    finish_attempts()
    planned = attempts(mailing)
    for back in (NOW + HOUR + DAY - MINUTE, NOW + HOUR, NOW, NOW + HOUR + DAY):
        time_machine.move_to(back, tick=False)
        ticks.plan_due()
    assert attempts(mailing) == planned
    change_schedule(owner, mailing, HERE + HOUR, DAILY, end=HERE + 9 * DAY)  # only the end: its numbers stay taken
    time_machine.move_to(NOW + HOUR + DAY, tick=False)
    ticks.plan_due()
    assert attempts(mailing) == planned


def test_a_replayed_job_plans_nothing_a_second_time(owner):
    mailing = make(owner, HERE)
    for _ in range(3):
        with transaction():
            planning.plan(mailing.id, clock.now())
    assert len(attempts(mailing)) == 1


def test_a_mailing_that_is_gone_is_no_error(owner):
    with transaction():
        assert planning.plan(12345, clock.now()) is None


def test_planners_at_once_make_one_attempt_each(app, owner, caplog):
    """Eight planners, six mailings, all at the same moment: real threads, real locks, and nobody stumbles."""
    made = [make(owner, HERE - n * DAY) for n in range(6)]
    start = threading.Barrier(8)

    def plan() -> None:
        with app.app_context():
            start.wait()
            ticks.plan_due()
            db.session.remove()

    db.session.rollback()
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(plan) for _ in range(8)]:
            done.result()
    assert [attempts(mailing) for mailing in made] == [[(0, PLANNED, None)]] * 6
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


def test_the_longest_overdue_is_planned_first_and_one_can_be_asked_for(owner, time_machine):
    later, sooner = make(owner, HERE + 2 * HOUR), make(owner, HERE + HOUR)
    time_machine.move_to(NOW + 3 * HOUR, tick=False)
    assert planning.due(clock.now()) == [sooner.id, later.id]
    assert planning.due(clock.now(), mailing_id=later.id) == [later.id]
    assert planning.due(clock.now(), mailing_id=0) == []


def test_the_whole_way_of_a_status(owner, mail_server, time_machine):
    time_machine.move_to(NOW)
    mailing = make(owner, HERE + HOUR, end=HERE + HOUR + 2 * DAY)
    seen = [fresh(mailing).status]
    for day in range(2):
        time_machine.move_to(NOW + HOUR + day * DAY)
        ticks.tick()
        seen.append(fresh(mailing).status)
        run_senders()
        seen.append(fresh(mailing).status)
    created, running, finished = MailingStatus
    assert seen == [created, running, running, running, finished]
    assert len(mail_server.accepted) == 2


def test_a_mailing_whose_only_firing_had_nobody_to_write_to_is_finished(owner, time_machine):
    mailing = make(owner, HERE + HOUR, ONCE)
    with transaction() as session:
        session.execute(Client.__table__.delete())
    time_machine.move_to(NOW + HOUR)
    ticks.tick()
    assert attempts(mailing) == [(0, SKIPPED, Reason.EMPTY)]
    assert fresh(mailing).status is MailingStatus.FINISHED


def test_a_day_that_a_zone_skips_fires_once(owner, time_machine):
    time_machine.move_to(datetime(2011, 12, 28, 12, tzinfo=UTC), tick=False)
    factories.client(owner)
    plan = Schedule(datetime(2011, 12, 29, 9), "Pacific/Apia", DAILY)  # noqa: DTZ001
    message_id = factories.message(owner).id
    with transaction():
        mailing = mailings.create(owner, title="Apia", message_id=message_id, plan=plan, audience=everyone())
    fired = []
    for _ in range(4):
        fired.append(fresh(mailing).next_at)
        time_machine.move_to(fired[-1], tick=False)
        ticks.plan_due()
        finish_attempts()
    assert [(b - a).days for a, b in pairwise(fired)] == [1, 1, 1]
    assert [number for number, _, _ in attempts(mailing)] == [0, 1, 3, 4]
