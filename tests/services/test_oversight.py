from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.jobs import drains, ticks
from mailservice.models import Attempt, AttemptStatus, Event, Mailing, Periodicity, Reason, Role, User
from mailservice.sending.journal import Journal
from mailservice.sending.keeping import PERMISSION_LASTS
from mailservice.services import mailings, oversight, planning, users
from mailservice.services.mailings import Phase
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders
from tests.servers import wait_until


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def manager(app):
    return factories.user(role=Role.MANAGER, full_name="Maria Manager")


def disable(mailing, by, reason="Complaints"):
    with transaction():
        oversight.disable(oversight.mailing(mailing.id), reason=reason, by=by, address="192.0.2.1")


def enable(mailing, by, reason=""):
    with transaction():
        oversight.enable(oversight.mailing(mailing.id), reason=reason, by=by)


def fresh(mailing):
    db.session.rollback()
    return db.session.get_one(Mailing, mailing.id)


def test_a_disabled_mailing_says_who_when_and_why_until_it_is_enabled(owner, manager):
    mailing = factories.mailing(owner)
    disable(mailing, manager)
    assert mailings.phase_of(mailing) is Phase.DISABLED
    assert (mailings.disabled_by(mailing), mailing.disabled_reason) == ("Maria Manager", "Complaints")
    assert mailing.disabled_at <= clock.now()
    enable(mailing, manager, "It was a mistake.")
    assert mailings.phase_of(fresh(mailing)) is Phase.CREATED
    events = db.session.scalars(select(Event).order_by(Event.id))
    told = [(e.action, e.actor_id, e.subject_id, e.detail["reason"]) for e in events]
    assert told == [
        ("mailing_disabled", manager.id, mailing.id, "Complaints"),
        ("mailing_enabled", manager.id, mailing.id, "It was a mistake."),
    ]


def test_only_managers_disable_and_enable(owner, manager):
    mailing = factories.mailing(owner)
    with pytest.raises(Refused):
        disable(mailing, owner)
    disable(mailing, manager)
    with pytest.raises(Refused):
        enable(mailing, owner)
    assert fresh(mailing).disabled_at is not None


def test_it_is_disabled_once_and_never_without_a_reason(owner, manager):
    mailing = factories.mailing(owner)
    with pytest.raises(Refused):
        enable(mailing, manager)
    for reason in ("", "  ", "a\nb", "x" * 501):
        with pytest.raises(Invalid):
            disable(mailing, manager, reason)
    disable(mailing, manager)
    with pytest.raises(Refused):
        disable(mailing, manager, "Another reason")
    assert fresh(mailing).disabled_reason == "Complaints"


@pytest.mark.parametrize("number", [0, 999_999, 2**63])
def test_a_mailing_that_is_not_there_is_not_found(app, number):
    with pytest.raises(NotFound), transaction():
        oversight.mailing(number)


def test_the_owner_cannot_lift_it_by_pausing_and_resuming(owner, manager):
    mailing = factories.mailing(owner)
    disable(mailing, manager)
    with transaction():
        mailings.pause(mailings.own(owner, mailing.id))
        mailings.resume(mailings.own(owner, mailing.id))
    assert mailings.phase_of(fresh(mailing)) is Phase.DISABLED


@pytest.mark.parametrize("periodicity", [Periodicity.DAILY, Periodicity.ONCE])
def test_enabling_makes_up_for_nothing(owner, manager, time_machine, periodicity):
    mailing = factories.mailing(owner, periodicity=periodicity)
    disable(mailing, manager)
    time_machine.move_to(mailing.next_at + timedelta(minutes=5))
    enable(mailing, manager)
    assert planning.due(clock.now()) == []
    attempt = db.session.scalars(select(Attempt)).one()
    assert (attempt.status, attempt.reason) == (AttemptStatus.SKIPPED, Reason.DISABLED)
    assert (fresh(mailing).next_at is None) is (periodicity is Periodicity.ONCE)


def test_a_year_of_missed_times_is_recorded_and_counted_on_from(owner, manager, time_machine):
    mailing = factories.mailing(owner)
    disable(mailing, manager)
    time_machine.move_to(mailing.next_at + timedelta(days=365, hours=1))
    enable(mailing, manager)
    numbers = db.session.scalars(select(Attempt.occurrence).order_by(Attempt.occurrence)).all()
    assert numbers == list(range(366))
    assert fresh(mailing).next_occurrence == 366
    assert timedelta(hours=22) < fresh(mailing).next_at - clock.now() <= timedelta(hours=23)


@pytest.mark.parametrize("act", ["disable", "block"])
def test_a_running_attempt_stops_within_a_second_and_its_rest_is_cancelled(
    app, owner, manager, mail_server, monkeypatch, act
):
    mail_server.delay = 0.02
    mailing = due_mailing(owner, [f"client-{n}@example.org" for n in range(400)])
    ticks.tick()
    attempt_id, mailing_id, owner_id, manager_id = attempt_of(mailing).id, mailing.id, owner.id, manager.id
    begun_at: list[float] = []
    stopped_at: list[float] = []
    real_begin = Journal.begin

    def begin(*letter):
        begun_at.append(clock.steady())
        real_begin(*letter)

    def stop():
        with app.app_context():
            wait_until(lambda: len(mail_server.accepted) > 10, seconds=20)
            with transaction() as session:
                by = session.get(User, manager_id)
                if act == "disable":
                    oversight.disable(oversight.mailing(mailing_id), reason="Complaints", by=by)
                else:
                    users.block(users.by_id(owner_id), reason="Spam", by=by)
            stopped_at.append(clock.steady())

    monkeypatch.setattr(Journal, "begin", begin)
    db.session.rollback()
    stopping = threading.Thread(target=stop)
    stopping.start()
    drains.drain(attempt_id)
    drains.let_go()
    stopping.join()
    assert max(begun_at) <= stopped_at[0] + PERMISSION_LASTS
    assert len(mail_server.accepted) < 400
    run_senders()
    attempt = attempt_of(mailing)
    reason = Reason.DISABLED if act == "disable" else Reason.BLOCKED
    assert (attempt.status, attempt.reason) == (AttemptStatus.CANCELLED, reason)
    assert attempt.sent == len(mail_server.accepted)
    assert attempt.sent + attempt.cancelled == 400
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)
