"""The breaker of a mail server, shared by all senders through the database.

Five host troubles in a row open it, a configuration trouble or three lost answers in a row at once. It waits
30 s, then twice as long each time up to 15 min, and lets one probe through; the letters wait meanwhile and
nothing fails.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailservice.models import Breaker

log = logging.getLogger(__name__)
HOST_TROUBLES = 5
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
BELIEVED = 2 * LONGEST_WAIT  # a look that is further off was planned before the clock was set back: it is due
PROBE_TIME = timedelta(seconds=60)  # in which nobody else probes


class Gate(enum.Enum):
    CLOSED = "closed"  # all is well, send
    OPEN = "open"  # wait
    PROBE = "probe"  # it is this sender's turn to look whether the server is back


class TroubleSort(enum.StrEnum):
    HOST = "host"
    CONFIGURATION = "configuration"
    AMBIGUOUS = "ambiguous"  # three answers to letters were lost in a row


def pass_through(connection: Connection, name: str, now: datetime) -> tuple[Gate, bool]:
    """Whether letters may go to this server now, and whether nothing is held against it.

    A PROBE is given to one sender only.
    """
    query = select(Breaker.retry_at, Breaker.failures).where(Breaker.name == name)
    row = connection.execute(query).one_or_none()
    if row is None or row.retry_at is None:
        return Gate.CLOSED, row is None or row.failures == 0
    if now < row.retry_at <= now + BELIEVED:
        return Gate.OPEN, False
    mine = connection.execute(
        update(Breaker).where(Breaker.name == name, Breaker.retry_at == row.retry_at).values(retry_at=now + PROBE_TIME)
    )
    return (Gate.PROBE if mine.rowcount == 1 else Gate.OPEN), False


def waiting(connection: Connection, names: Iterable[str], now: datetime) -> dict[str, str]:
    """Those of the servers that nothing is sent to now, not even a probe, and their last words."""
    query = select(Breaker.name, Breaker.last_reply).where(
        Breaker.name.in_(names), Breaker.retry_at > now, Breaker.retry_at <= now + BELIEVED
    )
    return {name: reply or "" for name, reply in connection.execute(query)}


def trouble(
    connection: Connection, name: str, sort: TroubleSort, text: str, now: datetime, *, probing: bool = False
) -> bool:
    """Counts a trouble, and opens the breaker when it is one too many. Whether it is open then.

    Many connections break at once: while it is open only the probe can make it wait longer.
    """
    _ensure(connection, name)
    retry_at = connection.scalar(select(Breaker.retry_at).where(Breaker.name == name).with_for_update())
    if retry_at is not None and retry_at > now and not probing:
        return True
    row = connection.execute(
        update(Breaker)
        .where(Breaker.name == name)
        .values(failures=Breaker.failures + 1, kind=sort.value, last_reply=text[:1000], last_trouble_at=now)
        .returning(Breaker.failures, Breaker.opens, Breaker.retry_at)
    ).one()
    if sort is TroubleSort.HOST and row.failures < HOST_TROUBLES and row.retry_at is None:
        return False
    wait = min(FIRST_WAIT * 2 ** min(row.opens, 10), LONGEST_WAIT)
    connection.execute(
        update(Breaker)
        .where(Breaker.name == name, or_(Breaker.retry_at.is_(None), Breaker.retry_at < now + wait))
        .values(opens=Breaker.opens + 1, opened_at=func.coalesce(Breaker.opened_at, now), retry_at=now + wait)
    )
    log.error("The mail server %s: %s; the letters wait, next look in %d s.", name, text, wait.total_seconds())
    return True


def probe_passed(connection: Connection, name: str) -> None:
    """The server greets again: letters may go, but the next trouble opens the breaker for twice as long."""
    connection.execute(
        update(Breaker).where(Breaker.name == name).values(failures=HOST_TROUBLES - 1, opened_at=None, retry_at=None)
    )


def success(connection: Connection, name: str, now: datetime) -> None:
    """The server answered for a letter: all is well."""
    _ensure(connection, name)
    connection.execute(
        update(Breaker)
        .where(Breaker.name == name)
        .values(failures=0, opens=0, opened_at=None, retry_at=None, last_success_at=now)
    )


def _ensure(connection: Connection, name: str) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(dialect.insert(Breaker).values(name=name, failures=0, opens=0).on_conflict_do_nothing())
