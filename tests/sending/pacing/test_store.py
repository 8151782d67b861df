"""What senders share is kept whole, by Redis as by each database."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailservice import clock
from mailservice.mail_servers import Limits
from mailservice.sending.books import Books
from mailservice.sending.pacing import DatabaseStore, Pace
from mailservice.sending.pacing.permits import BLOCK
from mailservice.sending.pacing.store import RedisStore
from tests import servers
from tests.sending.pacing.world import excess

NAME = "smtp.example:25"


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def database(kind):
    return "sqlite" if kind == "redis" else kind


@pytest.fixture
def store(app, redis, kind):
    return RedisStore(redis) if kind == "redis" else DatabaseStore()


def count_on(state, now):
    state["count"] = state.get("count", 0) + 1
    return state["count"]


def test_nothing_that_two_keep_at_once_is_lost(app, store):
    def count_often() -> None:
        with app.app_context():
            for _ in range(10):
                store.update(NAME, count_on)

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(count_often) for _ in range(4)]:
            future.result()
    assert store.look(NAME, count_on) == 41


def test_what_is_only_looked_at_stays_as_it_was(store):
    store.update(NAME, count_on)
    store.look(NAME, count_on)
    assert store.update(NAME, count_on) == 2
    assert store.update("another.example:25", count_on) == 1


def test_the_clock_of_the_store_is_right(store):
    assert store.update(NAME, lambda state, now: now) == pytest.approx(time.time(), abs=1)


def test_senders_that_share_a_real_store_keep_to_the_limit_together(app, store):
    rate, sent, over = 200, [], threading.Event()

    def send() -> None:
        books = Books(app.app_context)
        pace = Pace(NAME, Limits(per_second=rate), shared=store, lasting=store, submit=books.submit)
        while not over.is_set():
            pace.turn()
            if pace.may("rest"):
                sent.append(clock.steady())
            else:
                over.wait(max(pace.wait(), 0.01))
        books.close()

    with ThreadPoolExecutor(2) as threads:
        began, senders = clock.steady(), [threads.submit(send) for _ in range(2)]
        servers.wait_until(lambda: len(sent) >= 1.5 * rate or any(sender.done() for sender in senders))
        took = clock.steady() - began
        over.set()
        for sender in senders:
            sender.result()
    assert took >= 1.5 - BLOCK
    assert excess(sorted(sent), rate) <= rate * BLOCK + 2
