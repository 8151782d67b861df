"""kill -9 of workers and of the scheduler, a flushed and a dead Redis: nothing lost, nothing doubled."""

import signal
from collections import Counter

import pytest
from sqlalchemy import func, select

from mailservice.database import db, read, transaction
from mailservice.models import Attempt, Batch, Delivery, Result, State, User
from mailservice.queues import Job, enqueue
from mailservice.services import resending
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders
from tests.faults.conftest import wait_until

LETTERS = 300
CONNECTIONS, WINDOW = 10, 8  # of each sender, letters in flight on each
# What these are about lies before the database; the others run on both.
ON_ONE_DATABASE = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
SLOW = 0.004  # seconds for each reply: long enough to be killed in the middle


@pytest.fixture
def mailing(app, mail_server):
    mail_server.delay = SLOW
    return due_mailing(factories.user(), [f"client-{n}@example.org" for n in range(LETTERS)])


def is_closed(mailing):
    with read() as connection:
        query = select(func.count()).where(Attempt.mailing_id == mailing_id(mailing), Attempt.finished_at.is_not(None))
        return connection.scalar(query) == 1


def mailing_id(mailing):
    return mailing.__dict__.get("id") or mailing.id


def states():
    with read() as connection:
        query = select(Result.state, func.count()).where(Result.state != State.DEFERRED).group_by(Result.state)
        return {state.value: count for state, count in connection.execute(query)}


def holders():
    with read() as connection:
        return connection.scalar(select(func.count()).where(Batch.holder.is_not(None), Batch.waiting > 0))


def check(mailing, mail_server, *, kills=0):
    """Everything accounted for: accepted once, or unknown; and unknown at most what was in flight at a kill."""
    counts = states()
    accepted = Counter(letter.recipient for letter in mail_server.accepted)
    assert max(accepted.values()) == 1, "a letter was doubled"
    assert sum(counts.values()) == LETTERS
    assert counts.get("failed", 0) == 0
    unknown = counts.get("unknown", 0)
    assert unknown <= kills * CONNECTIONS * WINDOW
    assert counts["sent"] + unknown == LETTERS
    assert len(accepted) >= counts["sent"], "sent, and the server has it not"
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)
    assert attempt_of(mailing).audience == LETTERS


def test_a_worker_killed_in_mid_attempt_loses_and_doubles_nothing(mailing, mail_server, processes):
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    victim = processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > 50, what="the first letters")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    processes.start("worker", "sending")
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server, kills=1)


@ON_ONE_DATABASE
def test_workers_killed_again_and_again_lose_and_double_nothing(mailing, mail_server, processes):
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    kills = 0
    for goal in (20, 80, 160):
        victims = [processes.start("worker", "sending") for _ in range(2)]
        wait_until(lambda: len(mail_server.accepted) > goal, seconds=60, what=f"{goal} letters")  # noqa: B023
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            kills += 1
    processes.start("worker", "sending")
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server, kills=kills)


@ON_ONE_DATABASE
def test_a_scheduler_killed_in_mid_attempt_is_replaced_without_loss(mailing, mail_server, processes):
    processes.start("worker", "accounts", "ticks")
    processes.start("worker", "sending")
    victim = processes.start("scheduler")
    wait_until(lambda: len(mail_server.accepted) > 20, what="the first letters")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    processes.start("scheduler")
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server)


@ON_ONE_DATABASE
def test_a_flushed_redis_heals_by_itself(mailing, mail_server, processes, redis):
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > 20, what="the first letters")
    redis.flushall()
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server)
    second = due_mailing(factories.user(), ["after-the-flush@example.org"])
    wait_until(lambda: mail_server.letters_to("after-the-flush@example.org"), what="a letter after the flush")
    wait_until(lambda: is_closed(second), what="the second attempt's end")


@ON_ONE_DATABASE
def test_sigterm_finishes_the_letters_on_their_way_and_exits_in_time(mailing, mail_server, processes):
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    worker = processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > 50, what="the first letters")
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    assert states().get("unknown", 0) == 0
    assert states()["sent"] == len(mail_server.accepted)
    processes.start("worker", "sending")
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server)


@ON_ONE_DATABASE
def test_the_command_works_beside_workers_and_beside_itself(mailing, mail_server, processes):
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    processes.start("worker", "sending")
    commands = [processes.start("send-mailings") for _ in range(2)]
    assert [command.wait(timeout=60) for command in commands] == [0, 0]
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server)


def test_a_sender_stopped_past_its_lease_sends_nothing_when_it_wakes(mailing, mail_server, processes):
    """Its batch is taken over by eviction; the sleeper's own clock tells it that its lease is over."""
    processes.environ["LEASE_SECONDS"] = "2"
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    sleeper = processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > 50, what="the first letters")
    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: holders() == 0, what="the eviction")
    processes.start("worker", "sending")
    sleeper.send_signal(signal.SIGCONT)
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    check(mailing, mail_server, kills=1)


@ON_ONE_DATABASE
def test_without_redis_the_command_still_delivers(app, mail_server, processes):
    mailing = due_mailing(factories.user(), ["alone@example.org"])
    processes.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert processes.start("send-mailings").wait(timeout=60) == 0
    assert [letter.recipient for letter in mail_server.accepted] == ["alone@example.org"]
    assert is_closed(mailing)


@ON_ONE_DATABASE
def test_ringing_without_redis_is_no_error(app):
    app.config["REDIS_URL"] = "redis://127.0.0.1:1/0"
    app.extensions.pop("redis_clients", None)
    assert enqueue(Job.TICK) is False
    app.extensions.pop("redis_clients", None)
    assert db.session.scalar(select(func.count(Delivery.id))) == 0


def test_a_worker_killed_in_the_second_round_loses_and_doubles_nothing(mailing, mail_server, processes):
    """What was refused is sent again by a person; the one who does it dies in the middle."""
    refused = [f"client-{n}@example.org" for n in range(0, LETTERS, 3)]
    for email in refused:
        mail_server.on_rcpt(email, "552 5.2.2 mailbox full")
    mail_server.delay = 0
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.failed, attempt.sent) == (len(refused), LETTERS - len(refused))
    mail_server.forget()
    mail_server.delay = SLOW
    first_round = attempt.sent
    offer = resending.offer(attempt, State.FAILED)
    with transaction():
        owner = db.session.get_one(User, attempt.owner_id)
        resending.send_again(owner, attempt.id, state=State.FAILED, number=offer.number, seen=offer.seen)
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    victim = processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > first_round + 20, what="the first letters of the second round")
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    processes.start("worker", "sending")
    wait_until(lambda: is_closed(mailing), seconds=60, what="the attempt's end")
    attempt = attempt_of(mailing)
    assert attempt.failed == 0
    assert attempt.sent + attempt.unknown == LETTERS
    assert attempt.unknown <= CONNECTIONS * WINDOW
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)
