"""Where Redis is away or hangs the database keeps what senders share, and Redis again when it is back."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest
from redis import Redis
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import read
from mailservice.jobs.house import REDIS_TIMEOUT
from mailservice.models import Throttle
from mailservice.queues import connection
from mailservice.sending.pacing import DatabaseStore, SharedStore
from mailservice.sending.pacing.store import SILENCE
from tests import servers

NAME = "smtp.example:25"

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def count_on(state, now):
    state["count"] = state.get("count", 0) + 1
    return state["count"]


def documents() -> int:
    with read() as db:
        return db.scalar(select(func.count(Throttle.name))) or 0


@pytest.fixture
def own_redis(app):
    """A Redis of the test's own, and a client with a short deadline, as the service has."""
    with servers.valkey() as url, contextlib.closing(Redis.from_url(url)) as client:
        app.config["REDIS_URL"] = url
        app.extensions.pop("redis_clients", None)
        yield client
        app.extensions.pop("redis_clients", None)


def test_where_there_is_redis_the_database_is_left_alone(app, own_redis):
    shared = SharedStore(connection(timeout=REDIS_TIMEOUT), DatabaseStore())
    assert [shared.update(NAME, count_on) for _ in range(3)] == [1, 2, 3]
    assert own_redis.keys()
    assert documents() == 0


def test_without_redis_the_database_keeps_it(app):
    shared = SharedStore(None, DatabaseStore())
    assert [shared.update(NAME, count_on) for _ in range(3)] == [1, 2, 3]
    assert documents() == 1


def test_a_redis_that_is_away_is_not_asked_again_for_a_while(app, caplog):
    shared = SharedStore(Redis.from_url("unix:///no/such/socket"), DatabaseStore())
    assert [shared.update(NAME, count_on) for _ in range(3)] == [1, 2, 3]
    assert len([r for r in caplog.records if "Redis is away" in r.message]) == 1


def test_a_redis_that_hangs_does_not_hold_up_the_senders_and_is_used_again_when_it_wakes(app, own_redis, monkeypatch):
    shared = SharedStore(connection(timeout=REDIS_TIMEOUT), DatabaseStore())
    shared.update(NAME, count_on)
    pid = own_redis.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert [shared.update(NAME, count_on) for _ in range(5)] == [1, 2, 3, 4, 5]
        assert time.monotonic() - began < 1
    finally:
        os.kill(pid, signal.SIGCONT)
    now = clock.steady()
    monkeypatch.setattr(clock, "steady", lambda: now + SILENCE + 1)
    assert shared.update(NAME, count_on) == 2
