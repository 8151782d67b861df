"""Started by hand: half a minute in which nothing goes and all can be undone, by real ticks; and sending now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from mailservice import clock
from mailservice.database import db, transaction, write
from mailservice.errors import Refused
from mailservice.jobs import ticks
from mailservice.models import Attempt, AttemptStatus, Mailing, MailingStatus, Periodicity, Reason
from mailservice.services import launching, mailings, schedule
from mailservice.services.audiences import everyone
from mailservice.services.schedule import Schedule
from tests import factories
from tests.engine import change, run_senders, states_of

ONCE, DAILY, WEEKLY, MONTHLY = Periodicity
NOW = datetime(2026, 5, 13, 12, 0, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def noon(time_machine):
    """Moves the clock to so long after noon."""

    def at(later=timedelta()):
        db.session.rollback()
        time_machine.move_to(NOW + later, tick=False)

    at()
    return at


@pytest.fixture
def owner(app):
    made = factories.user(time_zone="UTC")
    factories.client(made, email="boris@example.org")
    return made


def make(owner, start=-HOUR, periodicity=ONCE, *, end=None, draft=True) -> Mailing:
    local = clock.now().replace(tzinfo=None, microsecond=0)
    plan = Schedule(local + start, "UTC", periodicity, local + end if end else None)
    message_id = factories.message(owner).id
    with transaction():
        values = {"title": "Digest", "message_id": message_id, "plan": plan}
        return mailings.create(owner, audience=everyone(), draft=draft, **values)


def do(act, mailing, *arguments) -> Mailing:
    with transaction():
        found = db.session.get_one(Mailing, mailing.id)
        act(found, *arguments, clock.now())
    return found


def attempts(mailing) -> list[tuple[int, str]]:
    db.session.rollback()
    query = select(Attempt).where(Attempt.mailing_id == mailing.id).order_by(Attempt.id)
    return [(a.occurrence, a.status.value) for a in db.session.scalars(query)]


def firing(mailing) -> tuple[int | None, datetime | None, MailingStatus, bool]:
    db.session.rollback()
    m = db.session.get_one(Mailing, mailing.id)
    return m.next_occurrence, m.next_at, m.status, m.is_draft


def finish() -> None:
    """As if a sender had been through with whatever is open."""
    with write() as connection:
        connection.execute(update(Attempt).where(Attempt.status.in_(Attempt.OPEN)).values(status=AttemptStatus.DONE))


def test_a_draft_never_fires(owner, noon):
    mailing = make(owner)
    noon(DAY)
    ticks.tick()
    assert attempts(mailing) == []
    assert mailings.phase_of(mailing) is mailings.Phase.DRAFT


def test_no_attempt_begins_within_the_half_minute_and_one_does_after_it(owner, noon):
    mailing = do(launching.start, make(owner))
    for seconds in (0, 15, 29.9):
        noon(seconds * SECOND)
        ticks.tick()
        assert attempts(mailing) == []
    noon(30 * SECOND)
    ticks.plan_due()
    assert attempts(mailing) == [(0, "planned")]


def test_letters_go_after_the_half_minute_by_a_real_sender(owner, mail_server, time_machine):
    mailing = do(launching.start, make(owner))
    run_senders()
    assert mail_server.tries("boris@example.org") == 0
    time_machine.move_to(clock.now() + launching.UNDO, tick=True)
    run_senders()
    assert mail_server.tries("boris@example.org") == 1
    assert states_of(mailing) == {"boris@example.org": "sent"}


def test_a_start_is_undone_and_nothing_was_sent(owner, noon):
    mailing = make(owner)
    before = firing(mailing)
    do(launching.start, mailing)
    noon(29 * SECOND)
    ticks.tick()
    do(launching.undo, mailing)
    assert firing(mailing) == before
    noon(HOUR)
    ticks.tick()
    assert attempts(mailing) == []
    do(launching.start, mailing)
    noon(HOUR + 31 * SECOND)
    ticks.plan_due()
    assert attempts(mailing) == [(0, "planned")]


def test_after_the_half_minute_nothing_is_undone_any_more(owner, noon):
    mailing = do(launching.start, make(owner))
    noon(30 * SECOND)
    with pytest.raises(Refused):
        do(launching.undo, mailing)
    ticks.plan_due()
    with pytest.raises(Refused):
        do(launching.undo, mailing)
    assert attempts(mailing) == [(0, "planned")]


def test_what_cannot_go_is_not_started(owner, noon):
    ended = make(owner, -HOUR, end=HOUR)
    noon(2 * HOUR)
    with pytest.raises(Refused, match="end has already passed"):
        do(launching.start, ended)
    started = make(owner, draft=False)
    with pytest.raises(Refused, match="started already"):
        do(launching.start, started)


def test_a_change_that_would_begin_at_once_can_be_undone_too(owner, noon):
    mailing = make(owner, DAY, draft=False)
    with transaction():
        own = mailings.own(owner, mailing.id, lock=True)
        plan = Schedule(NOW.replace(tzinfo=None) - HOUR, "UTC", ONCE)
        mailings.update(own, owner, title="Digest", message_id=own.message_id, plan=plan, audience=None)
    ticks.tick()
    assert attempts(mailing) == []
    do(launching.undo, mailing)
    assert firing(mailing)[3]
    noon(HOUR)
    ticks.tick()
    assert attempts(mailing) == []


# Sending now


def test_the_only_firing_of_a_once_mailing_is_moved_to_now(owner, noon):
    mailing = make(owner, DAY, draft=False)
    do(launching.send_now, mailing, owner)
    noon(31 * SECOND)
    ticks.plan_due()
    assert attempts(mailing) == [(0, "planned")]
    finish()
    noon(2 * DAY)
    ticks.plan_due()
    assert attempts(mailing) == [(0, "done")]


@pytest.mark.parametrize("periodicity", [DAILY, WEEKLY, MONTHLY])
def test_a_recurring_mailing_gets_one_more_attempt_and_keeps_its_schedule(owner, noon, periodicity):
    mailing = make(owner, DAY, periodicity, draft=False)
    scheduled = firing(mailing)
    for later in (timedelta(), HOUR):
        noon(later)
        do(launching.send_now, mailing, owner)
        noon(later + 31 * SECOND)
        ticks.plan_due()
        finish()
        assert firing(mailing)[:2] == scheduled[:2]
    noon(DAY)
    ticks.plan_due()
    assert attempts(mailing) == [(-1, "done"), (-2, "done"), (0, "planned")]


def test_a_finished_mailing_is_sent_once_more(owner, noon):
    mailing = make(owner, draft=False)
    ticks.plan_due()
    finish()
    noon(HOUR)
    do(launching.send_now, mailing, owner)
    noon(HOUR + 31 * SECOND)
    ticks.plan_due()
    finish()
    assert attempts(mailing) == [(0, "done"), (-1, "done")]
    assert firing(mailing)[:2] == (None, None)


@pytest.mark.parametrize("periodicity", list(Periodicity))
@pytest.mark.parametrize("start", [DAY, -3 * HOUR])
def test_sending_now_is_undone_and_all_is_as_it_was(owner, noon, periodicity, start):
    mailing = make(owner, start, periodicity, draft=False)
    ticks.plan_due()
    with transaction():
        schedule.settle(db.session.get_one(Mailing, mailing.id))
    finish()
    before, count = firing(mailing), len(attempts(mailing))
    do(launching.send_now, mailing, owner)
    noon(29 * SECOND)
    ticks.tick()
    do(launching.undo, mailing)
    assert firing(mailing)[:2] == before[:2]
    noon(HOUR)
    ticks.plan_due()
    assert len(attempts(mailing)) == count


def test_a_scheduled_firing_within_the_half_minute_is_not_lost_without_a_word(owner, noon):
    mailing = make(owner, 10 * SECOND, DAILY, draft=False)
    do(launching.send_now, mailing, owner)
    noon(31 * SECOND)
    ticks.plan_due()
    ticks.plan_due()
    assert attempts(mailing) == [(-1, "planned"), (0, "skipped")]
    query = select(Attempt.reason).where(Attempt.mailing_id == mailing.id, Attempt.occurrence == 0)
    assert db.session.scalar(query) is Reason.OVERLAP


def test_a_sending_that_was_stopped_by_a_manager_in_between_takes_no_number_twice(owner, noon):
    """Once, sent early, sent once more, disabled before it began, enabled: its old time still lies ahead."""
    mailing = make(owner, DAY, draft=False)
    do(launching.send_now, mailing, owner)
    noon(31 * SECOND)
    ticks.plan_due()
    finish()
    do(launching.send_now, mailing, owner)
    noon(2 * HOUR)
    with transaction():
        schedule.skip_missed(db.session.get_one(Mailing, mailing.id), Reason.DISABLED, clock.now())
    assert attempts(mailing) == [(0, "done"), (-1, "skipped")]
    noon(2 * DAY)
    ticks.plan_due()
    assert len(attempts(mailing)) == 2


def paused(mailing, owner):
    change(mailing, paused_at=clock.now())


def disabled(mailing, owner):
    change(mailing, disabled_at=clock.now())


def unconfirmed(mailing, owner):
    change(owner, confirmed_at=None)


def under_way(mailing, owner):
    change(mailing, next_at=clock.now())
    ticks.plan_due()


def due(mailing, owner):
    change(mailing, next_at=clock.now())


def just_sent(mailing, owner):
    do(launching.send_now, mailing, owner)


def ended(mailing, owner):
    change(mailing, start_local=(NOW - 2 * DAY).replace(tzinfo=None), end_local=(NOW - DAY).replace(tzinfo=None))


def a_draft(mailing, owner):
    change(mailing, is_draft=True)


@pytest.mark.parametrize("spoil", [paused, disabled, unconfirmed, under_way, due, just_sent, ended, a_draft])
def test_sending_now_is_refused_with_a_reason(owner, noon, spoil):
    mailing = make(owner, DAY, DAILY, draft=False)
    spoil(mailing, owner)
    db.session.rollback()
    before = firing(mailing)
    with pytest.raises(Refused) as refusal:
        do(launching.send_now, mailing, owner)
    assert refusal.value.message
    assert firing(mailing) == before


def test_numbers_of_attempts_stay_different_whatever_is_done(owner, noon):
    mailing = make(owner, -3 * DAY, DAILY, draft=False)
    for hours in range(0, 120, 6):
        noon(hours * HOUR)
        ticks.plan_due()
        finish()
        if hours % 12 == 6:
            do(launching.send_now, mailing, owner)
            noon(hours * HOUR + 31 * SECOND)
            ticks.plan_due()
            finish()
    numbers = [number for number, _status in attempts(mailing)]
    assert len(numbers) == len(set(numbers)) == db.session.scalar(select(func.count()).select_from(Attempt))
    assert sum(number >= 0 for number in numbers) == 5


def test_undoing_after_the_end_was_moved_gives_the_schedule_back(owner):
    mailing = factories.mailing(owner, status=MailingStatus.RUNNING)
    with transaction():
        launching.send_now(mailings.own(owner, mailing.id, lock=True), owner, clock.now())
    with transaction():
        found = mailings.own(owner, mailing.id, lock=True)
        plan = Schedule(found.start_local, found.time_zone, found.periodicity, found.start_local + 90 * DAY)
        mailings.update(found, owner, title=found.title, message_id=found.message_id, plan=plan, audience=None)
    with transaction():
        launching.undo(mailings.own(owner, mailing.id, lock=True), clock.now())
    db.session.refresh(mailing)
    assert mailing.is_draft is False
    assert mailing.next_at is not None
