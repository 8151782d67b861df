"""The keeper lets letters go at the mail server's pace, and gives back what must wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailservice import clock
from mailservice.database import read
from mailservice.jobs import drains, ticks
from mailservice.sending import ledger
from tests import factories, invariants
from tests.engine import due_mailing, run_senders, states_of


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def limited(app):
    """Changes the limits of the mail server."""

    def limit(**values):
        app.config["SETTINGS"] = replace(app.config["SETTINGS"], **values)

    before = app.config["SETTINGS"]
    yield limit
    app.config["SETTINGS"] = before


def addresses(domain, count):
    return [f"user{n}@{domain}" for n in range(count)]


def test_letters_keep_to_the_pace_and_all_arrive(owner, limited, mail_server):
    limited(mail_per_second=40)
    mailing = due_mailing(owner, addresses("example.org", 80))
    began = clock.steady()
    run_senders()
    lasted = clock.steady() - began
    assert set(states_of(mailing).values()) == {"sent"}
    assert lasted > 80 / 40 - 0.6, "a block of letters may go ahead of time"


def test_a_slow_provider_does_not_hold_up_the_others(owner, limited, mail_server):
    limited(mail_groups="gmail=4")
    due_mailing(owner, addresses("gmail.com", 8) + addresses("example.org", 40))
    run_senders()
    domains = [letter.recipient.partition("@")[2] for letter in mail_server.accepted]
    assert domains.count("gmail.com") == 8
    assert domains.count("example.org") == 40
    assert domains[-4:] == ["gmail.com"] * 4


def test_a_provider_that_puts_letters_off_is_asked_less_and_the_others_go_on(owner, mail_server):
    gmail, others = addresses("gmail.com", 300), addresses("example.org", 300)
    mail_server.delay = 0.003
    for address in gmail:
        mail_server.on_rcpt(address, "450 4.7.28 too many from you, slow down")
    mailing = due_mailing(owner, [address for pair in zip(gmail, others, strict=True) for address in pair])
    ticks.tick()
    attempt_id = next(iter(dict(_work())))
    drains.drain(attempt_id)
    drains.let_go()
    states = states_of(mailing)
    assert {states[address] for address in others} == {"sent"}
    assert "waiting" in {states[address] for address in gmail}, "not all were tried"
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def test_what_may_not_go_for_long_is_given_back_and_not_lost(owner, limited, mail_server):
    limited(mail_per_hour=20)
    mailing = due_mailing(owner, addresses("example.org", 50))
    began = clock.steady()
    run_senders()
    assert clock.steady() - began < 15, "the sender is free for other work"
    states = list(states_of(mailing).values())
    assert states.count("sent") == len(mail_server.accepted) == 20
    assert states.count("waiting") == 30
    assert not _work(), "nobody asks again at once"
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)
    limited(mail_per_hour=0)


def _work():
    with read() as connection:
        return ledger.with_work(connection, clock.now())
