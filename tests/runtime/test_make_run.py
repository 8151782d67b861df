"""The first command: `make run`, from a copied checkout to delivered mail, and back to nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.installation import Run, copy_project, ports
from tests.servers import wait_until

pytestmark = pytest.mark.slow

SOON = 10.0  # seconds within which everything has stopped


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkout")
    copy_project(folder)
    return folder


@pytest.fixture
def make_run(checkout: Path) -> Iterator[Callable[..., Run]]:
    """Types `make run` with these settings."""
    runs: list[Run] = []

    def make(**settings: object) -> Run:
        runs.append(Run(checkout, **settings))
        return runs[-1]

    yield make
    for run in runs:
        run.close()


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """An instance folder of the test's own."""
    return tmp_path / "instance"


def get(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        content: bytes = answer.read()
        return content


def letters(settings: dict[str, int], query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get(settings["INBOX_WEB_PORT"], f"/api/v1/messages?limit=1000&query={query}"))
    return found


def rows(instance: Path) -> dict[str, int]:
    """How many rows each table has."""
    with sqlite3.connect(instance / "mailservice.db") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: connection.execute(f'SELECT count(*) FROM "{t}"').fetchone()[0] for t in tables}


def none_is_left(run: Run) -> bool:
    return not run.processes()


def test_a_demo_mailing_arrives_by_itself_and_a_second_run_loses_nothing(
    make_run: Callable[..., Run], instance: Path
) -> None:
    settings = ports()
    run = make_run(INSTANCE_PATH=instance, **settings)
    run.wait_until_it_runs()
    for address in (
        f"http://127.0.0.1:{settings['WEB_PORT']}",
        f"http://127.0.0.1:{settings['INBOX_WEB_PORT']}",
    ):
        assert address in run.output
    assert "Demo sign-ins:" in run.output
    assert json.loads(get(settings["WEB_PORT"], "/healthz")) == {"status": "ok"}
    wait_until(lambda: letters(settings)["total"], seconds=20, what="a letter in the inbox")

    run.signal_make(signal.SIGINT)
    asked = time.monotonic()
    run.wait(SOON)
    wait_until(lambda: none_is_left(run), seconds=max(SOON - (time.monotonic() - asked), 0.1))
    before = rows(instance)

    again = make_run(INSTANCE_PATH=instance, **settings)
    again.wait_until_it_runs()
    after = rows(instance)
    assert {t: n for t, n in before.items() if after[t] < n} == {}
    assert after["users"] == before["users"]
    assert letters(settings)["total"] > 0
    again.signal_make(signal.SIGTERM)
    again.wait(SOON)
    wait_until(lambda: none_is_left(again), seconds=1)


def test_what_dies_is_started_again_and_a_killed_supervisor_leaves_nobody(
    make_run: Callable[..., Run], instance: Path
) -> None:
    run = make_run(INSTANCE_PATH=instance, WORKERS=2, **ports())
    run.wait_until_it_runs()
    wait_until(lambda: len(run.pids("flask worker sending")) >= 2, what="two workers")
    victim = min(run.pids("flask worker sending"))
    everyone_else = set(run.processes()) - {victim}
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: run.pids("flask worker sending") - {victim} - everyone_else, what="a new worker")
    wait_until(lambda: re.search(r"worker\.\d ended \(SIGKILL\)", run.output), what="a word about it")
    assert run.supervisor() in everyone_else

    os.kill(run.supervisor(), signal.SIGKILL)
    wait_until(lambda: none_is_left(run), seconds=SOON, what="everybody's end")


@pytest.mark.parametrize("taken", ["WEB_PORT", "INBOX_SMTP_PORT", "INBOX_WEB_PORT"])
def test_a_taken_port_is_named_together_with_its_setting(
    make_run: Callable[..., Run], instance: Path, taken: str
) -> None:
    settings = ports()
    with socket.create_server(("127.0.0.1", settings[taken])):
        run = make_run(INSTANCE_PATH=instance, **settings)
        assert run.wait(30) != 0
    assert f"Port {settings[taken]} on 127.0.0.1 is taken by another program" in run.output
    assert f"{taken}=" in run.output
    assert "Traceback" not in run.output
    assert none_is_left(run)


def test_a_second_run_in_the_same_folder_says_that_one_is_there(make_run: Callable[..., Run], instance: Path) -> None:
    run = make_run(INSTANCE_PATH=instance, **ports())
    run.wait_until_it_runs()
    second = make_run(INSTANCE_PATH=instance, **ports())
    assert second.wait(30) != 0
    assert f"The service already runs on {instance} (process {run.supervisor()})." in second.output


def test_no_stand_in_is_started_where_the_real_thing_is_set(
    make_run: Callable[..., Run], instance: Path, redis_url: str
) -> None:
    run = make_run(
        INSTANCE_PATH=instance,
        REDIS_URL=redis_url,
        MAIL_SERVER="127.0.0.1",
        MAIL_SECURITY="none",
        MAIL_SENDER="shop@shop.example",
        **ports(),
    )
    run.wait_until_it_runs()
    commands = " ".join(run.processes().values())
    assert "gunicorn" in commands
    assert "valkey" not in commands
    assert "cli.inbox" not in commands


def test_unsafe_production_settings_are_refused_with_one_line_each(
    make_run: Callable[..., Run], instance: Path
) -> None:
    run = make_run(INSTANCE_PATH=instance, ENVIRONMENT="production", **ports())
    assert run.wait(30) != 0
    for setting in ("SECRET_KEY", "MAIL_SERVER", "PUBLIC_URL"):
        assert sum(line.startswith(f"{setting}:") for line in run.output.splitlines()) == 1
    assert "Traceback" not in run.output
