"""Letters on disk: one SQLite file, so that a restart loses nothing."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mailservice import clock
from mailservice.inbox.reading import headers, printable

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    "from" TEXT NOT NULL,
    "to" TEXT NOT NULL,
    subject TEXT NOT NULL,
    envelope_from TEXT NOT NULL,
    envelope_to TEXT NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS sources (letter_id INTEGER PRIMARY KEY, source BLOB NOT NULL);
"""
COLUMNS = 'id, received_at, "from", "to", subject, envelope_from, envelope_to, size'
PLACES = {
    "from": ['"from"', "envelope_from"],
    "to": ['"to"', "envelope_to"],
    "subject": ["subject"],
    "": ['"from"', '"to"', "subject", "envelope_from", "envelope_to"],
}
MOST_AT_ONCE = 1000  # letters in one transaction


@dataclass(frozen=True)
class Arrival:
    """A letter as the mail server took it: the envelope and every octet."""

    envelope_from: str
    envelope_to: list[str]
    source: bytes


@dataclass(frozen=True)
class Kept:
    """What the list shows of a letter; `source` is asked for apart."""

    id: int
    received_at: datetime
    from_: str
    to: str
    subject: str
    envelope_from: str
    envelope_to: list[str]
    size: int  # octets


class Store:
    """Keeps the newest `keep` letters. Any thread may ask; one writes, many letters per transaction."""

    def __init__(self, path: Path, keep: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._keep = path, keep
        self._arrivals: queue.SimpleQueue[tuple[Arrival, Future[None]] | None] = queue.SimpleQueue()
        with self._connect() as connection:
            connection.executescript(SCHEMA)
        self._writer = threading.Thread(target=self._write, name="inbox-writer")
        self._writer.start()

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.create_function("fold", 1, str.casefold, deterministic=True)
            yield connection

    def add(self, arrival: Arrival) -> Future[None]:
        """Queues the letter; the future is done once it is committed."""
        future: Future[None] = Future()
        self._arrivals.put((arrival, future))
        return future

    def close(self) -> None:
        """Writes what is queued and stops the writer."""
        self._arrivals.put(None)
        self._writer.join()

    def _write(self) -> None:
        try:
            with self._connect() as connection:
                while (first := self._arrivals.get()) is not None:
                    batch, more = self._batch(first)
                    # Whoever hung up before the answer has cancelled his future; from here on nobody can.
                    self._keep_batch(connection, [item for item in batch if item[1].set_running_or_notify_cancel()])
                    if not more:
                        return
        except Exception:
            # Without this thread no letter would ever get its answer: the process is to end and be started anew.
            log.exception("The inbox cannot write any more")
            os.kill(os.getpid(), signal.SIGTERM)

    def _batch(self, first: tuple[Arrival, Future[None]]) -> tuple[list[tuple[Arrival, Future[None]]], bool]:
        """All that is queued now, and whether there will be more. Under load, what piles up while one
        transaction is written makes the next: nobody waits for a timer."""
        batch = [first]
        while len(batch) < MOST_AT_ONCE:
            try:
                item = self._arrivals.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, False
            batch.append(item)
        return batch, True

    def _keep_batch(self, connection: sqlite3.Connection, batch: list[tuple[Arrival, Future[None]]]) -> None:
        if not batch:
            return
        try:
            self._insert_all(connection, [arrival for arrival, _ in batch])
        except Exception as error:
            if connection.in_transaction:
                with suppress(sqlite3.Error):  # the next transaction will say so, too
                    connection.execute("ROLLBACK")
            if len(batch) > 1 and not isinstance(error, sqlite3.Error):  # one letter's fault, and not the file's
                for item in batch:
                    self._keep_batch(connection, [item])
                return
            for _, future in batch:
                future.set_exception(error)
            return
        for _, future in batch:
            future.set_result(None)

    def _insert_all(self, connection: sqlite3.Connection, arrivals: list[Arrival]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for arrival in arrivals:
            _insert(connection, arrival)
        newest = connection.execute("SELECT max(id) FROM letters").fetchone()[0]
        for table, key in (("letters", "id"), ("sources", "letter_id")):
            connection.execute(f"DELETE FROM {table} WHERE {key} <= ?", (newest - self._keep,))  # nosec B608
        connection.execute("COMMIT")

    def find(self, query: str = "", *, start: int = 0, limit: int = 50) -> tuple[int, list[Kept]]:
        """How many letters match, and those of one page, newest first.

        Every word must be found; `to:`, `from:` and `subject:` before a word say where.
        """
        where, values = _condition(query)
        with self._connect() as connection:
            total = connection.execute(f"SELECT count(*) FROM letters{where}", values).fetchone()[0]  # nosec B608
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM letters{where} ORDER BY id DESC LIMIT ? OFFSET ?",  # nosec B608
                [*values, limit, start],
            ).fetchall()
        return total, [_kept(row) for row in rows]

    def get(self, letter_id: int) -> tuple[Kept, bytes] | None:
        """One letter with its source."""
        with self._connect() as connection:
            row = connection.execute(
                f"SELECT {COLUMNS}, source FROM letters JOIN sources ON letter_id = id WHERE id = ?",  # nosec B608
                (letter_id,),
            ).fetchone()
        return (_kept(row[:-1]), row[-1]) if row else None

    def clear(self) -> None:
        """Throws all letters away."""
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM letters")
            connection.execute("DELETE FROM sources")
            connection.execute("COMMIT")


def _insert(connection: sqlite3.Connection, arrival: Arrival) -> None:
    head = headers(arrival.source)
    cursor = connection.execute(
        'INSERT INTO letters (received_at, "from", "to", subject, envelope_from, envelope_to, size)'
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            clock.now().isoformat(timespec="milliseconds"),
            head.get("from", ""),
            head.get("to", ""),
            head.get("subject", ""),
            printable(arrival.envelope_from),
            printable("\n".join(arrival.envelope_to)),
            len(arrival.source),
        ),
    )
    connection.execute("INSERT INTO sources VALUES (?, ?)", (cursor.lastrowid, arrival.source))


def _kept(row: tuple[int, str, str, str, str, str, str, int]) -> Kept:
    letter_id, received_at, from_, to, subject, envelope_from, envelope_to, size = row
    moment = datetime.fromisoformat(received_at).astimezone(UTC)
    return Kept(letter_id, moment, from_, to, subject, envelope_from, envelope_to.split("\n"), size)


def _condition(query: str) -> tuple[str, list[str]]:
    """The WHERE clause of a search, with its values."""
    conditions, values = [], []
    for word in query.split():
        place, colon, rest = word.partition(":")
        if not colon or place.lower() not in PLACES or not rest:
            place, rest = "", word
        columns = PLACES[place.lower()]
        conditions.append("(" + " OR ".join(f"instr(fold({column}), ?)" for column in columns) + ")")
        values += [rest.strip('"').casefold()] * len(columns)
    return (" WHERE " + " AND ".join(conditions) if conditions else ""), values
