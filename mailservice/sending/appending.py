"""Results in bulk: COPY on PostgreSQL (7 µs a row where an INSERT costs 35), executemany on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from mailservice.sending.entries import NULL, Entry, moment

COLUMNS = "delivery_id, attempt_id, round, state, reason, code, enhanced, reply, tried_at, not_before"
COPY = f"COPY results ({COLUMNS}) FROM STDIN"
INSERT = f"INSERT INTO results ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # nosec B608
TRIED_AT = COLUMNS.split(", ").index("tried_at")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})


def append(connection: Connection, entries: Sequence[Entry], accepted: Sequence[str] = ()) -> None:
    """Appends the rows of `results`; nothing else is done that a result may lead to. Raises DBAPIError.

    `accepted`: rows that entries.accepted() has made.
    """
    driver = connection.dialect.dbapi
    assert driver is not None
    try:
        with closing(connection.connection.cursor()) as raw:
            if connection.dialect.name == "postgresql":
                with raw.copy(COPY) as copy:
                    copy.write("".join([*accepted, *map(_copy_line, entries)]))
            else:
                raw.executemany(INSERT, [*map(_sqlite_row_of, accepted), *map(_sqlite_row, entries)])
    except driver.Error as error:  # what SQLAlchemy would make of it
        raise DBAPIError.instance(COPY, None, error, driver.Error) from error


def _copy_line(e: Entry) -> str:
    attempt_id, _, delivery_id, round_, state, tried_at, code, enhanced, reply, reason, not_before, _ = e
    if reply is None:
        reply = NULL
    elif "\\" in reply or not reply.isprintable():
        reply = reply.translate(ESCAPES)
    return (
        f"{delivery_id}\t{attempt_id}\t{round_}\t{state.value}\t{reason.value if reason else NULL}"
        f"\t{NULL if code is None else code}\t{enhanced or NULL}\t{reply}\t{moment(tried_at)}"
        f"\t{moment(not_before) if not_before else NULL}\n"
    )


def _sqlite_row(e: Entry) -> tuple[Any, ...]:
    later = e.not_before and _sqlite_moment(e.not_before)
    reason = e.reason and e.reason.value
    return (
        e.delivery_id,
        e.attempt_id,
        e.round,
        e.state.value,
        reason,
        e.code,
        e.enhanced,
        e.reply,
        _sqlite_moment(e.tried_at),
        later,
    )


def _sqlite_row_of(row: str) -> list[str | None]:
    """SQLite makes numbers of digits by itself, as the columns want them."""
    values: list[str | None] = [None if value == NULL else value for value in row[:-1].split("\t")]
    values[TRIED_AT] = (values[TRIED_AT] or "").removesuffix("+00:00")
    return values


@lru_cache(maxsize=64)
def _sqlite_moment(moment: datetime) -> str:
    """As SQLAlchemy keeps a DateTime in SQLite: UTC without a zone, always with microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
