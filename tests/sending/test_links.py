"""Several mail servers: letters go through each by its weight, and through the others when one is down."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from mailservice import clock
from mailservice.database import read, transaction
from mailservice.jobs import drains, ticks
from mailservice.jobs.house import house
from mailservice.models import Breaker
from mailservice.sending import sender
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders, states_of
from tests.faults.mail_server import MailServer
from tests.servers import wait_until


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture(autouse=True)
def relays(app):
    """Two mail servers: three letters of four go through the first."""
    with ExitStack() as stack:
        first, second = found = [stack.enter_context(MailServer()) for _ in range(2)]
        how = "security=none&connections=2"
        urls = f"smtp://127.0.0.1:{first.port}?{how}&weight=3 smtp://127.0.0.1:{second.port}?{how}"
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_server="", mail_servers=urls)
        yield found
        drains.let_go()
        invariants.assert_hold(letter.message_id for server in found for letter in server.accepted)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("mailservice.smtp.loop._REOPENING", 0.02)


def mailings(owner, *, count, letters):
    return [due_mailing(owner, [f"client-{m}-{n}@example.org" for n in range(letters)]) for m in range(count)]


def leave_out_until(port, moment):
    with transaction() as session:
        session.add(Breaker(name=f"127.0.0.1:{port}", failures=5, opens=1, retry_at=moment))


def test_a_look_that_a_wrong_clock_planned_is_due(owner, relays):
    for server in relays:
        leave_out_until(server.port, clock.now() + timedelta(days=3))
    mailings(owner, count=1, letters=3)
    run_senders()
    assert sum(len(server.accepted) for server in relays) == 3


def is_open(port):
    with read() as connection:
        return connection.scalar(select(Breaker.retry_at).where(Breaker.name == f"127.0.0.1:{port}")) is not None


def test_letters_are_shared_out_by_weight_over_many_slices(owner, relays):
    mailings(owner, count=24, letters=5)
    run_senders()
    first, second = (len(server.accepted) for server in relays)
    assert first + second == 120
    assert abs(first - 90) <= 8


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_one_large_attempt_is_shared_out_too(owner, relays, monkeypatch):
    monkeypatch.setattr(sender, "TURN", 0.1)
    for server in relays:
        server.delay = 0.004
    mailing = due_mailing(owner, [f"client-{n}@example.org" for n in range(400)])
    run_senders()
    assert attempt_of(mailing).sent == 400
    assert 0.6 <= len(relays[0].accepted) / 400 <= 0.9


def test_connections_live_as_long_as_the_sender(owner, relays):
    mailings(owner, count=12, letters=5)
    run_senders()
    assert all(1 <= server.connections <= house().routes[0].connections for server in relays)


def test_one_that_is_down_is_left_out_and_the_other_takes_all(owner, relays):
    first, second = relays
    first.refuse()
    made = mailings(owner, count=3, letters=5)
    run_senders()
    assert [attempt_of(mailing).sent for mailing in made] == [5, 5, 5]
    assert len(second.accepted) == 15
    assert is_open(first.port)


def test_one_that_dies_in_the_middle_hands_over_what_was_surely_not_sent(owner, relays):
    for server in relays:
        server.delay = 0.003
    mailing = due_mailing(owner, [f"client-{n}@example.org" for n in range(600)])

    def die() -> None:
        wait_until(lambda: len(relays[0].accepted) + len(relays[1].accepted) > 40)
        victim = max(relays, key=lambda server: len(server.accepted))
        victim.refuse()
        victim.drop_connections()

    dying = threading.Thread(target=die)
    dying.start()
    run_senders(times=3)  # as ticks would: what was given back goes on
    dying.join()
    states = list(states_of(mailing).values())
    assert states.count("sent") + states.count("unknown") == 600
    assert states.count("unknown") <= 2 * 8
    assert min(len(server.accepted) for server in relays) > 40


def test_all_down_is_waiting_and_not_failing(owner, relays):
    for server in relays:
        server.refuse()
    (mailing,) = mailings(owner, count=1, letters=3)
    run_senders()
    assert set(states_of(mailing).values()) == {"waiting"}
    assert not drains.may_send()
    assert drains.why_not()
    relays[1].listen()
    with transaction() as session:
        session.execute(update(Breaker).values(retry_at=clock.now() - timedelta(seconds=1)))
    run_senders()
    assert attempt_of(mailing).sent == len(relays[1].accepted) == 3


def test_one_that_is_well_again_is_used_again_while_nobody_waits_for_the_look_at_it(owner, relays):
    first, second = relays
    leave_out_until(first.port, clock.now() - timedelta(seconds=1))
    first.pause()
    before, after = mailings(owner, count=2, letters=5)
    ticks.tick()
    drains.drain(attempt_of(before).id)
    assert attempt_of(before).sent == len(second.accepted) == 5
    first.resume()
    wait_until(lambda: not is_open(first.port))
    drains.drain(attempt_of(after).id)
    assert attempt_of(after).sent == len(first.accepted) == 5
