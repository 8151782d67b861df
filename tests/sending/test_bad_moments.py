"""Bad moments of a run: retries at different times, many connections breaking at once, a slow or failing database."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from mailservice import clock
from mailservice.database import db, read, write
from mailservice.jobs import drains, ticks
from mailservice.models import Batch, Breaker, Mailing, Suppression
from mailservice.sending import appending, books, burdens, recovery
from mailservice.sending.journal import Journal
from mailservice.sending.keeping import PERMISSION_LASTS
from mailservice.services import mailings, schedule
from tests import factories, invariants
from tests.engine import attempt_of, change, due_mailing, run_senders, states_of
from tests.faults.mail_server import DROP, Wait
from tests.servers import wait_until


@pytest.fixture
def owner(app):
    return factories.user()


def addresses(count):
    return [f"client-{n}@example.org" for n in range(count)]


def accepted_ids(mail_server):
    return [letter.message_id for letter in mail_server.accepted]


def test_a_batch_whose_letters_are_due_at_two_times_rests_in_between(owner, mail_server, time_machine):
    mail_server.on_rcpt("client-0@example.org", "451 4.2.1 come back in 360 seconds", times=1)
    mail_server.on_rcpt("client-1@example.org", "451 4.2.1 come back in 3600 seconds", times=1)
    mailing = due_mailing(owner, addresses(2))
    run_senders()
    time_machine.move_to(clock.now() + timedelta(minutes=10))
    run_senders()
    assert states_of(mailing) == {"client-0@example.org": "sent", "client-1@example.org": "deferred"}
    db.session.rollback()
    batch = db.session.scalars(select(Batch)).one()
    assert batch.holder is None
    assert batch.not_before is not None
    assert batch.not_before > clock.now() + timedelta(minutes=40)
    assert drains.drain(attempt_of(mailing).id) is False
    drains.let_go()


def test_connections_are_closed_when_there_is_no_more_mail(owner, mail_server):
    """A server has only so many places, and others need them."""
    mailing = due_mailing(owner, addresses(3))
    ticks.tick()
    drains.drain(attempt_of(mailing).id)
    assert mail_server.open_connections > 0
    drains.ring()
    wait_until(lambda: mail_server.open_connections == 0)
    assert all(lines[-1] == "QUIT" for lines in mail_server.commands.values())
    drains.let_go()


def test_connections_that_break_all_at_once_are_one_trouble_for_the_breaker(owner, mail_server):
    mail_server.on_dot(DROP)
    due_mailing(owner, addresses(60))
    run_senders()
    breaker = db.session.scalars(select(Breaker)).one()
    assert breaker.opens == 1
    assert breaker.retry_at <= clock.now() + timedelta(seconds=31)


def test_no_letter_starts_more_than_a_second_after_a_stop_however_slow_the_database_is(
    app, owner, mail_server, monkeypatch
):
    mail_server.delay = 0.02
    mailing = due_mailing(owner, addresses(400))
    ticks.tick()
    real_commit, real_begin = books.commit, Journal.begin
    stopped_at: list[float] = []
    begun_at: list[float] = []

    def begin(*letter):
        begun_at.append(clock.steady())
        real_begin(*letter)

    def slow_commit(*args):
        if stopped_at:
            time.sleep(4)
        return real_commit(*args)

    def pause():
        with app.app_context():
            wait_until(lambda: len(mail_server.accepted) > 10, seconds=20)
            change(db.session.get(Mailing, mailing_id), paused_at=clock.now())
            stopped_at.append(clock.steady())

    monkeypatch.setattr(books, "commit", slow_commit)
    monkeypatch.setattr(Journal, "begin", begin)
    attempt_id, mailing_id = attempt_of(mailing).id, mailing.id
    db.session.rollback()
    pausing = threading.Thread(target=pause)
    pausing.start()
    drains.drain(attempt_id)
    drains.let_go()
    pausing.join()
    assert max(begun_at) <= stopped_at[0] + PERMISSION_LASTS
    assert len(mail_server.accepted) < 400


def test_a_batch_taken_away_with_letters_in_flight_harms_no_other(owner, mail_server, monkeypatch):
    mail_server.delay = 0.004
    mailing = due_mailing(owner, addresses(900))
    ticks.tick()
    real_commit, taken = books.commit, []

    def commit_after_the_theft(attempt_id, parts):
        if not taken and len(mail_server.accepted) > 20:
            number = parts[0].claim.number
            with write() as connection:
                steal = text("UPDATE batches SET fence = fence + 1, evicted = true WHERE number = :number")
                connection.execute(steal, {"number": number})
            taken.append(number)
        return real_commit(attempt_id, parts)

    monkeypatch.setattr(books, "commit", commit_after_the_theft)
    drains.drain(attempt_of(mailing).id)
    drains.let_go()
    assert len(taken) == 1
    run_senders(times=2)
    states = list(states_of(mailing).values())
    assert states.count("sent") + states.count("unknown") == 900
    assert states.count("unknown") <= 10 * 8
    invariants.assert_hold(accepted_ids(mail_server))


def test_a_commit_whose_answer_is_lost_is_not_made_twice(owner, mail_server, monkeypatch):
    mail_server.on_rcpt("client-3@example.org", "451 4.2.1 greylisted")
    mailing = due_mailing(owner, addresses(20))
    ticks.tick()
    real_commit, lost = books.commit, []

    def commit_and_lose_the_answer(*args):
        found = real_commit(*args)
        if not lost:
            lost.append(True)
            with read() as connection:
                connection.execute(text("SELECT no_such_column"))
        return found

    monkeypatch.setattr(books, "commit", commit_and_lose_the_answer)
    drains.drain(attempt_of(mailing).id)
    drains.let_go()
    assert lost
    run_senders()
    with read() as connection:
        deferred = connection.scalar(text("SELECT count(*) FROM results WHERE state = 'deferred'"))
    assert deferred == 1
    assert list(states_of(mailing).values()).count("sent") == 19
    invariants.assert_hold(accepted_ids(mail_server))


def test_what_the_driver_says_in_bulk_is_a_database_error_like_any_other(owner, mail_server, monkeypatch):
    mailing = due_mailing(owner, addresses(5))
    ticks.tick()
    broken = appending.COPY.replace("results", "no_such_table"), appending.INSERT.replace("results", "no_such_table")
    with monkeypatch.context() as patch:
        patch.setattr(appending, "COPY", broken[0])
        patch.setattr(appending, "INSERT", broken[1])
        patch.setattr("mailservice.sending.keeping.DATABASE_WAITS", ())
        with pytest.raises(appending.DBAPIError):
            drains.drain(attempt_of(mailing).id)
    drains.let_go()
    run_senders()
    assert set(states_of(mailing).values()) == {"sent"}, "the journal spoke for the run that could not write"
    assert len(mail_server.accepted) == 5


def test_one_bad_file_among_the_journals_stops_nobody(app, owner, mail_server, settings):
    (settings.journal_path / "lost+found").mkdir(parents=True)
    (settings.journal_path / "unreadable").write_bytes(b"\x00\xff")
    due_mailing(owner, addresses(1))
    run_senders()
    assert len(mail_server.accepted) == 1
    assert recovery.recover(settings.journal_path, clock.now()) == 0


CLOSING = "421 4.3.0 closing now"


@pytest.mark.parametrize("connections", [1, 10])
@pytest.mark.parametrize(
    ("mode", "answer"),
    [
        *[("lock-step", CLOSING), ("pipelining", CLOSING), ("chunking", CLOSING)],
        *[("lock-step", DROP), ("pipelining", DROP)],  # with CHUNKING it would have whole letters, then uncertain
    ],
)
def test_one_address_over_which_the_server_hangs_up_stops_nobody_else(
    app, owner, mail_server, mode, answer, connections
):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_connections=connections)
    mail_server.pipelining, mail_server.chunking = mode != "lock-step", mode == "chunking"
    mail_server.on_rcpt("client-0@example.org", answer)
    mailing = due_mailing(owner, addresses(30))
    run_senders()
    states = states_of(mailing)
    assert states.pop("client-0@example.org") == "deferred"
    assert set(states.values()) == {"sent"}
    assert mail_server.tries("client-0@example.org") == burdens.ENDS
    assert db.session.scalar(select(Breaker.opens)) == 0
    invariants.assert_hold(accepted_ids(mail_server))


def test_an_unsubscribe_reaches_a_letter_that_is_taken_but_not_begun(app, owner, mail_server):
    mail_server.chunking = mail_server.pipelining = False
    mail_server.on_rcpt("client-0@example.org", (Wait(3), "250 2.1.5 ok"), times=1)
    mailing = due_mailing(owner, addresses(1))
    ticks.tick()
    owner_id, attempt_id = owner.id, attempt_of(mailing).id
    db.session.rollback()

    def unsubscribe():
        with app.app_context():
            wait_until(lambda: mail_server.tries("client-0@example.org"), seconds=20)
            with factories.transaction() as session:
                session.add(
                    Suppression(owner_id=owner_id, email_normalised="client-0@example.org", reason="unsubscribed")
                )

    leaving = threading.Thread(target=unsubscribe)
    leaving.start()
    drains.drain(attempt_id)
    drains.let_go()
    leaving.join()
    run_senders()
    assert mail_server.accepted == []
    assert states_of(mailing) == {"client-0@example.org": "skipped"}


def test_an_attempt_that_its_owner_stopped_while_it_was_paused_is_over(owner, mail_server):
    mailing = due_mailing(owner, addresses(3))
    ticks.tick()
    change(mailing, paused_at=clock.now())
    with factories.transaction():
        mailings.cancel(mailing)
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status.value, attempt.reason.value, attempt.cancelled) == ("cancelled", "by_owner", 3)
    assert mail_server.accepted == []


def test_a_changed_schedule_sends_nothing_before_its_time(owner, mail_server):
    mailing = due_mailing(owner, addresses(1), start_local=clock.now().replace(tzinfo=None) - timedelta(days=3))
    run_senders()
    assert len(mail_server.accepted) == 1
    before = schedule.of(mailing)
    later = schedule.Schedule(before.start_local + timedelta(hours=1), "UTC", before.periodicity)
    with factories.transaction():
        mailings.update(mailing, owner, title="New", message_id=mailing.message_id, plan=later, audience=None)
    run_senders()
    assert len(mail_server.accepted) == 1
    db.session.refresh(mailing)
    assert mailing.next_at > clock.now()
