"""Attempts take turns: a small mailing that falls due behind large ones does not wait until they are through."""

from __future__ import annotations

import pytest

from tests import factories
from tests.engine import due_mailing
from tests.faults.conftest import wait_until

PROMISED = 30.0  # seconds
SLOW = 0.02  # seconds for each reply: a large mailing takes minutes

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]


def large(owner, name):
    return due_mailing(owner, [f"{name}-{n}@example.org" for n in range(3_000)])


@pytest.mark.parametrize(
    ("commands", "count"),
    [
        pytest.param([["worker"]], 1, id="one worker for everything, one large mailing"),
        pytest.param([["worker", "accounts", "ticks"], ["worker", "sending"]], 4, id="one sender, four large mailings"),
    ],
)
def test_a_small_mailing_is_delivered_in_time(app, mail_server, processes, commands, count):
    mail_server.delay = SLOW
    owner = factories.user()
    names = [f"large-{number}" for number in range(count)]
    for name in names:
        large(owner, name)
    processes.start("scheduler")
    for command in commands:
        processes.start(*command)

    def begun(name):
        return any(letter.recipient.startswith(f"{name}-") for letter in list(mail_server.accepted))

    wait_until(lambda: any(map(begun, names)), what="the first letters")
    small = [f"small-{n}@example.org" for n in range(10)]
    due_mailing(owner, small)
    wait_until(lambda: all(map(mail_server.letters_to, small)), seconds=PROMISED, what="the small mailing")
    assert len(mail_server.accepted) < 3_000
