"""Runs keep to the limits of servers and groups, and what has to wait holds up nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, read
from mailservice.jobs import drains, ticks
from mailservice.models import Batch
from mailservice.sending.pacing.permits import BLOCK
from mailservice.services import progress
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders, states_of
from tests.faults.conftest import wait_until
from tests.faults.mail_server import MailServer
from tests.sending.pacing.world import excess


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture(autouse=True)
def let_go(app, mail_server):
    yield
    drains.let_go()
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def limit(app, **values):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **values)


def addresses(domain, count):
    return [f"client-{n}@{domain}" for n in range(count)]


def times(server, domain=""):
    return sorted(letter.accepted_at for letter in server.accepted if letter.recipient.endswith(domain))


def test_a_servers_limit_is_kept_and_used(app, owner, mail_server):
    limit(app, mail_per_second=100.0)
    mailing = due_mailing(owner, addresses("example.org", 300))
    run_senders()
    found = times(mail_server)
    assert attempt_of(mailing).sent == 300
    assert excess(found, 100) <= 100 * BLOCK + 2
    assert found[-1] - found[0] <= 1.3 * 300 / 100


def test_a_limited_group_waits_while_all_others_go(app, owner, mail_server):
    limit(app, mail_groups="gmail=20")
    mailing = due_mailing(owner, [*addresses("gmail.com", 60), *addresses("example.org", 300)])
    run_senders()
    gmail, others = times(mail_server, "@gmail.com"), times(mail_server, "@example.org")
    assert attempt_of(mailing).sent == 360
    assert excess(gmail, 20) <= 20 * BLOCK + 2
    assert others[-1] < gmail[-1]
    assert gmail[-1] - gmail[0] <= 1.4 * 60 / 20


def test_a_group_that_must_wait_long_is_given_back_and_the_rest_of_all_batches_goes(app, owner, mail_server):
    limit(app, mail_groups="gmail=2")
    pairs = zip(addresses("gmail.com", 700), addresses("example.org", 700), strict=True)
    mailing = due_mailing(owner, [address for pair in pairs for address in pair])
    ticks.tick()
    began = clock.steady()
    drains.own_sender().drain(attempt_of(mailing).id, must_stop=lambda: len(times(mail_server, "@example.org")) == 700)
    assert clock.steady() - began < 10
    with read() as connection:
        dues = connection.scalars(select(Batch.not_before).order_by(Batch.number)).all()
    assert len(times(mail_server, "@gmail.com")) < 40
    assert [due is not None and due > clock.now() for due in dues] == [False, True, True]
    assert dues[2] > dues[1]


def test_a_group_that_is_put_off_slows_down_and_the_others_do_not(app, owner, mail_server):
    for n in range(400):
        mail_server.on_rcpt(f"client-{n}@gmail.com", "450 4.7.1 too many letters from you")
    mail_server.delay = 0.0005
    mailing = due_mailing(owner, [*addresses("gmail.com", 400), *addresses("example.org", 400)])
    ticks.tick()
    drains.own_sender().drain(attempt_of(mailing).id, must_stop=lambda: len(mail_server.accepted) == 400)
    db.session.rollback()
    states = states_of(mailing)
    assert sum(state == "sent" for state in states.values()) == 400
    assert sum(state == "deferred" for state in states.values()) < 380


def test_a_delay_that_a_provider_names_holds_its_letters_until_then(app, owner, mail_server):
    mail_server.on_dot("421 4.7.0 too fast, try again in 300 seconds", "first@gmail.com", times=1)
    first = due_mailing(owner, ["first@gmail.com"])
    run_senders()
    assert states_of(first) == {"first@gmail.com": "deferred"}
    second = due_mailing(owner, [*addresses("gmail.com", 5), *addresses("example.org", 5)])
    run_senders()
    assert sorted(states_of(second).values()) == ["sent"] * 5 + ["waiting"] * 5
    with read() as connection:
        dues = connection.scalars(select(Batch.not_before)).all()
    assert all(clock.now() + timedelta(seconds=200) < due for due in dues)


def test_a_server_that_closes_at_an_envelope_slows_its_provider_down(app, owner, mail_server):
    """The letter itself is charged no try, and goes over the next connection."""
    mail_server.on_rcpt("first@gmail.com", "421 4.7.0 too fast, try again in 300 seconds", times=1)
    first = due_mailing(owner, ["first@gmail.com"])
    run_senders()
    assert states_of(first) == {"first@gmail.com": "sent"}
    second = due_mailing(owner, [*addresses("gmail.com", 5), *addresses("example.org", 5)])
    run_senders()
    assert sorted(states_of(second).values()) == ["sent"] * 5 + ["waiting"] * 5


def test_an_hours_limit_ends_the_slice_and_the_next_one_too(app, owner, mail_server):
    limit(app, mail_per_hour=30)
    due_mailing(owner, addresses("example.org", 50))
    ticks.tick()
    (attempt_id,) = progress.open_ids()
    began = clock.steady()
    assert drains.drain(attempt_id)
    assert not drains.drain(attempt_id)
    assert clock.steady() - began < 5
    assert len(mail_server.accepted) == 30


def test_the_limits_of_several_servers_add_up(app, owner, mail_server):
    with ExitStack() as stack:
        relays = [stack.enter_context(MailServer()) for _ in range(2)]
        urls = [f"smtp://127.0.0.1:{relay.port}?security=none&per_second=60" for relay in relays]
        limit(app, mail_server="", mail_servers=" ".join(urls))
        mailing = due_mailing(owner, addresses("example.org", 360))
        run_senders()
        assert attempt_of(mailing).sent == 360
        both = sorted(at for relay in relays for at in times(relay))
        for relay in relays:
            assert excess(times(relay), 60) <= 60 * BLOCK + 2
        assert both[-1] - both[0] <= 1.4 * 360 / 120
        mail_server.accepted.extend(letter for relay in relays for letter in relay.accepted)


def busiest(moments, *, seconds):
    """The most that came within so many seconds: a pause of the machine's own says nothing about the pace."""
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("with_redis", [True, False])
def test_several_workers_keep_to_one_limit(app, owner, mail_server, processes, with_redis):
    processes.environ["MAIL_PER_SECOND"] = "100"
    commands = [["worker"], ["worker"], ["scheduler"]]
    if not with_redis:
        processes.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
        commands = [["send-mailings"], ["send-mailings"]]
    due_mailing(owner, addresses("example.org", 800))
    ticks.tick()
    for command in commands:
        processes.start(*command)
    wait_until(lambda: len(mail_server.accepted) == 800, seconds=60)
    found = times(mail_server)
    assert len({letter.connection for letter in mail_server.accepted}) > 1
    assert excess(found, 100) <= 100 * BLOCK + 2
    assert busiest(found, seconds=4) >= 4 * 100 / 1.3, "the limit is not made use of"
