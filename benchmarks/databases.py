"""Empty databases for measurements: SQLite in a file, PostgreSQL on a server of our own, as careful as by default."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks import processes
from tests import servers

# The tests' server forgets in a power cut; who measures a ledger wants one that does not.
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


class Database(Protocol):
    name: str

    def empty(self) -> contextlib.AbstractContextManager[str]:
        """An app's DATABASE_URL without tables, as long as the context lasts."""

    def cpu(self) -> float:
        """Seconds of CPU that the database's own processes have used so far."""


class Sqlite:
    name = "SQLite"

    def empty(self) -> contextlib.AbstractContextManager[str]:
        return contextlib.nullcontext("")  # an app that is told none makes its own, in its folder

    def cpu(self) -> float:
        return 0.0  # it works in the sender's process


class Postgresql:
    """A server; `url` names no database."""

    name = "PostgreSQL"

    def __init__(self, url: str):
        self._url = url
        for setting in DURABLE:
            self._execute(f"ALTER SYSTEM SET {setting} = on")
        self._execute("SELECT pg_reload_conf()")
        self.version = self._execute("SHOW server_version").split()[0]

    @contextlib.contextmanager
    def empty(self) -> Iterator[str]:
        url = servers.new_database(self._url)
        try:
            yield url
        finally:
            self._execute(f'DROP DATABASE "{urlsplit(url).path[1:]}" WITH (FORCE)')

    def cpu(self) -> float:
        folder = Path(parse_qs(urlsplit(self._url).query)["host"][0])
        server = int((folder / "postmaster.pid").read_text().splitlines()[0])
        return processes.cpu_of(processes.family(server))

    def _execute(self, statement: str) -> str:
        with psycopg.connect(self._url.replace("/?", "/postgres?"), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return str(row[0]) if row else ""


@contextlib.contextmanager
def postgresql() -> Iterator[Postgresql]:
    with servers.postgresql() as url:
        yield Postgresql(url)
