"""The service's own processes, started as a supervisor would, to be killed in the middle of their work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from config import ROOT, Settings


def wait_until(condition: Callable[[], object], *, seconds: float = 90.0, what: str = "") -> None:
    """Polls a condition; fails when it does not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"did not happen within {seconds} s: {what or condition}"
        time.sleep(0.02)


@dataclass
class Processes:
    """`flask …` processes of one installation; whatever still lives at the end is killed."""

    environ: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", *command], cwd=ROOT, env=self.environ
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture
def processes(app, settings: Settings) -> Iterator[Processes]:
    """Processes that share the test's database, Redis, instance folder and mail server."""
    environ = os.environ | {
        "INSTANCE_PATH": str(settings.instance_path),
        "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "MAIL_SERVER": settings.mail_server,
        "MAIL_PORT": str(settings.mail_port),
        "MAIL_SECURITY": "none",
        "MAIL_SENDER": settings.mail_sender,
        "TICK_SECONDS": "1",
        "LOG_LEVEL": "WARNING",
    }
    running = Processes(environ)
    yield running
    running.stop()
