"""The whole installation: its servers, its processes as the Procfile starts them, and the wires between them."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from config import ROOT, load
from mailservice import clock
from mailservice.app import create_app
from mailservice.database import db, write
from mailservice.models import Batch, Breaker, Result, Throttle
from mailservice.runtime.processes import die_with_parent
from tests.chaos.relay import Relay
from tests.chaos.servers import Eavesdropper, Mail, Postgres, Valkey

LEASE = 3  # seconds
WINDOW = 8  # letters in flight on a connection, as the engine's loop has it
CONNECTIONS = 2  # of one sender
SENDERS = ("worker.1", "worker.2", "worker.3")
CLERKS = ("clerk.1", "clerk.2")  # so that planners and recoveries meet
COMMANDS = dict.fromkeys(SENDERS, ("worker", "sending")) | dict.fromkeys(CLERKS, ("worker", "accounts", "ticks"))
COMMANDS |= {"scheduler": ("scheduler",)}
SOON = timedelta(seconds=0.5)
FULL = 60_000  # octets: no file may grow beyond them, and a new journal needs more


class Timeline:
    """What happened, in order, with seconds since the beginning."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lines: list[str] = []
        self._lock = threading.Lock()

    def note(self, what: str) -> None:
        with self._lock:
            self._lines.append(f"{time.monotonic() - self._began:7.2f}  {what}")

    def __str__(self) -> str:
        with self._lock:
            return "\n".join(self._lines)


class World:
    """Everything that may be harmed. `postgres` is None where the database is a SQLite file."""

    def __init__(self, folder: Path, *, postgresql: bool) -> None:
        self.timeline = Timeline()
        self.folder = folder
        self.valkey = Valkey()
        self.postgres = Postgres() if postgresql else None
        self.mail = Mail().start()
        self.eavesdropper = Eavesdropper()
        self.mail_wire = Relay(self.mail.port, self.eavesdropper.heard)
        self.database_wire = Relay(self.postgres.socket) if self.postgres else None
        for wire in self.wires:
            wire.start()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._numbers = itertools.count(1)
        self.settings = load(self._environ(self.postgres.url if self.postgres else ""))
        self.app = self._make_app()

    @property
    def wires(self) -> list[Relay]:
        return [wire for wire in (self.mail_wire, self.database_wire) if wire]

    @property
    def senders(self) -> list[str]:
        """The names of processes that may have letters in flight."""
        return [name for name in self.processes if name in SENDERS or name.startswith("command")]

    def _make_app(self) -> Flask:
        """The test's own way in: not over the wires, and for what people do in their browsers."""
        app = create_app(self.settings)
        with app.app_context():
            upgrade(str(ROOT / "migrations"))
            db.engine.dispose()
        return app

    def _environ(self, database_url: str) -> dict[str, str]:
        return {
            "INSTANCE_PATH": str(self.folder / "instance"),
            "SECRET_KEY": "a key for the storm only, long enough for everyone",
            "DATABASE_URL": database_url,
            "REDIS_URL": self.valkey.url,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(self.mail_wire.port),
            "MAIL_SECURITY": "none",
            "MAIL_SENDER": "Mailservice <mailservice@example.org>",
            "MAIL_CONNECTIONS": str(CONNECTIONS),
            "MAIL_TIMEOUT": "3",
            "MAIL_FINAL_TIMEOUT": "5",
            "LEASE_SECONDS": str(LEASE),
            "TICK_SECONDS": "1",
            "LOG_LEVEL": "WARNING",
        }

    def _database_over_the_wire(self) -> str:
        if not self.postgres or not self.database_wire:
            return ""
        return f"postgresql://postgres@127.0.0.1:{self.database_wire.port}/{self.postgres.database}"

    # Processes

    def start_all(self) -> None:
        for name in COMMANDS:
            self.start(name)

    def start(self, name: str) -> None:
        self._launch(name, *COMMANDS[name])

    def start_command(self) -> str:
        """One more sender: `flask send-mailings`, which ends by itself."""
        name = f"command.{next(self._numbers)}"
        self._launch(name, "send-mailings")
        return name

    def _launch(self, name: str, *command: str) -> None:
        """From the main thread only: the kernel ends it with the thread that started it."""
        environ = os.environ | self._environ(self._database_over_the_wire())
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", *command],
                cwd=ROOT,
                env=environ,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )

    def signal(self, name: str, number: int) -> None:
        process = self.processes.get(name)
        if process and process.poll() is None:
            process.send_signal(number)

    def fill_disk(self, name: str, *, full: bool) -> None:
        """For this process: a file may not grow any more."""
        process = self.processes.get(name)
        if process and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (FULL if full else hard, hard))

    def tend(self, resting: set[str]) -> None:
        """Starts again what has ended, as the supervisor does; not what is `resting`."""
        for name, process in list(self.processes.items()):
            if (code := process.poll()) is None:
                continue
            if name not in COMMANDS:
                del self.processes[name]
                self.timeline.note(f"{name} ended with {code}")
            elif name not in resting:
                self.timeline.note(f"{name} had ended with {code}, started again")
                self.start(name)

    # The database, past the wire

    def lock_out(self) -> Callable[[], None]:
        """From now on nobody else can write; call what it returns to end that."""
        stack = contextlib.ExitStack()
        if self.postgres:
            with contextlib.suppress(psycopg.OperationalError):  # it was quicker to die, or somebody to lock
                connection = stack.enter_context(contextlib.closing(psycopg.connect(self.postgres.url)))
                connection.execute("SET lock_timeout = '2s'")
                connection.execute("LOCK TABLE batches IN EXCLUSIVE MODE")
        else:
            path = self.settings.instance_path / "mailservice.db"
            with contextlib.suppress(sqlite3.OperationalError):
                file = stack.enter_context(contextlib.closing(sqlite3.connect(path, timeout=2, isolation_level=None)))
                file.execute("BEGIN IMMEDIATE")
        return stack.close

    def hasten(self) -> None:
        """What would take minutes takes a moment: waits of a breaker and of a letter put off, going slow."""
        soon = clock.now() + SOON
        with write() as connection:
            for column in (Breaker.retry_at, Result.not_before, Batch.not_before):
                connection.execute(update(column.class_).where(column > soon).values({column: soon}))
            connection.execute(delete(Throttle))

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        for wire in self.wires:
            wire.stop()
        self.mail.stop()
        if self.postgres:
            self.postgres.close()
        self.valkey.close()


def retrying(act: Callable[[], object], *, seconds: float) -> None:
    """Until the database takes it."""
    end = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except DBAPIError:
            db.session.rollback()
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def chance_of(seed: int, purpose: str) -> random.Random:
    """Dice of their own for each purpose: one more throw here changes nothing there."""
    return random.Random(f"{seed} {purpose}")
