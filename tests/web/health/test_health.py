"""`/healthz` and `/readyz`, asked from outside, with real servers that live, are away or hang."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Breaker
from mailservice.services import health
from tests import servers


@pytest.fixture(autouse=True)
def _fresh(app: Flask) -> Iterator[None]:
    """Each test makes the checks anew."""
    app.extensions.pop("health", None)
    yield
    app.extensions.pop("health", None)
    app.extensions.pop("redis_clients", None)


def schedule(redis: Redis, *, overdue: float) -> None:
    """What rq-scheduler keeps of a periodic job that should have run `overdue` seconds ago."""
    redis.zadd(health.SCHEDULED_JOBS, {"tick": time.time() - overdue})


def add_worker(redis: Redis, name: str) -> None:
    """What an RQ worker keeps of itself."""
    redis.sadd(health.WORKERS, f"rq:worker:{name}")
    redis.hset(f"rq:worker:{name}", "state", "idle")


def ready(browser: FlaskClient) -> dict[str, Any]:
    answer = browser.get("/readyz")
    found: dict[str, Any] = answer.get_json()
    assert (answer.status_code == 200) == (found["status"] == "ready")
    return found


def test_healthz_answers_nobody_in_particular(browser: FlaskClient) -> None:
    answer = browser.get("/healthz")
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


def test_ready_when_everything_is_there(browser: FlaskClient, redis: Redis) -> None:
    schedule(redis, overdue=-2)
    add_worker(redis, "one")
    add_worker(redis, "two")
    report = ready(browser)
    assert report["status"] == "ready"
    assert report["database"]["ok"]
    assert report["redis"]["ok"]
    assert report["scheduler"] == {"ok": True, "lag": 0.0}
    assert report["workers"] == {"ok": True, "alive": 2}
    assert report["breaker"] == "closed"


def test_not_ready_without_a_schedule(browser: FlaskClient, redis: Redis) -> None:
    add_worker(redis, "one")
    report = ready(browser)
    assert report["status"] == "not ready"
    assert report["scheduler"] == {"ok": False, "lag": None}


def test_not_ready_when_the_scheduler_has_stood_still(browser: FlaskClient, redis: Redis) -> None:
    add_worker(redis, "one")
    schedule(redis, overdue=300)
    report = ready(browser)
    assert report["status"] == "not ready"
    assert report["scheduler"]["lag"] == pytest.approx(300, abs=5)


def test_not_ready_without_a_living_worker(browser: FlaskClient, redis: Redis) -> None:
    schedule(redis, overdue=0)
    redis.sadd(health.WORKERS, "rq:worker:dead")  # its own key has expired
    report = ready(browser)
    assert report["status"] == "not ready"
    assert report["workers"] == {"ok": False, "alive": 0}


def test_not_ready_while_the_breaker_is_open(app: Flask, browser: FlaskClient, redis: Redis) -> None:
    schedule(redis, overdue=0)
    add_worker(redis, "one")
    settings = app.config["SETTINGS"]
    with transaction() as session:
        session.add(Breaker(name="another.example:25", failures=5, retry_at=clock.now()))
    assert ready(browser)["breaker"] == "closed"
    with transaction() as session:
        name = f"{settings.mail_server}:{settings.mail_port}"
        session.add(Breaker(name=name, failures=5, retry_at=clock.now(), last_reply="421 no"))
    report = ready(browser)
    assert (report["status"], report["breaker"]) == ("not ready", "open")
    assert report["mail_servers"] == ["open"]


def test_ready_while_one_of_several_mail_servers_is_well(app: Flask, browser: FlaskClient, redis: Redis) -> None:
    schedule(redis, overdue=0)
    add_worker(redis, "one")
    urls = "smtp://shop:hush@one.example smtp://two.example"
    app.config["SETTINGS"] = dataclasses.replace(app.config["SETTINGS"], mail_server="", mail_servers=urls)
    with transaction() as session:
        session.add(Breaker(name="one.example:587", failures=5, retry_at=clock.now()))
    report = ready(browser)
    assert (report["status"], report["breaker"]) == ("ready", "closed")
    assert report["mail_servers"] == ["open", "closed"]
    assert "example" not in str(report)


def test_without_redis_the_answer_says_so(app: Flask, browser: FlaskClient) -> None:
    app.config["REDIS_URL"] = "unix:///no/such/socket"
    app.extensions.pop("redis_clients", None)
    report = ready(browser)
    assert report["status"] == "not ready"
    assert report["redis"] == {"ok": False, "error": "ConnectionError"}
    assert report["database"]["ok"]
    assert browser.get("/healthz").status_code == 200


def test_a_redis_that_hangs_does_not_hold_the_answer(app: Flask, browser: FlaskClient) -> None:
    with servers.valkey() as url:
        app.config["REDIS_URL"] = url
        app.extensions.pop("redis_clients", None)
        pid = Redis.from_url(url).info("server")["process_id"]
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            report = ready(browser)
            assert time.monotonic() - began < 3
        finally:
            os.kill(pid, signal.SIGCONT)
    assert report["status"] == "not ready"
    assert not report["redis"]["ok"]
    assert report["database"]["ok"]


# SQLite lives in our own process: it cannot hang apart from it.
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_database_that_hangs_does_not_hold_the_answer(browser: FlaskClient) -> None:
    assert ready(browser)["database"]["ok"]
    with db.engine.connect() as connection:
        pids = [row[0] for row in connection.exec_driver_sql("SELECT pid FROM pg_stat_activity WHERE pid > 0")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            began = time.monotonic()
            report = ready(browser)
            assert time.monotonic() - began < 3
            assert report["status"] == "not ready"
            assert report["database"] == {"ok": False, "error": "no answer in time"}
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
