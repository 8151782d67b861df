"""The database: one `db`, one way to write (`transaction`, `write`), column types, SQLite's settings."""

from __future__ import annotations

import enum
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Annotated, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    event,
    func,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, registry
from sqlalchemy.types import TypeDecorator

from mailservice import clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLITE_BUSY_SECONDS = 10
# Who writes holds locks; one who has fallen silent in the middle (its process stopped, its machine gone) is ended.
LONGEST_SILENCE = timedelta(seconds=30)
LONGEST_GAP = 0.1  # seconds: so often at least somebody who waits looks whether it is his turn
LINE_END = literal("\n", literal_execute=True)
# A server that is gone without a word is noticed within half a minute (seconds; the last in milliseconds).
POSTGRESQL_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC in the database (SQLite keeps no zone, so it is put back on reading)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
Key = Annotated[int, mapped_column(BigId, primary_key=True)]


def enum_type(kind: type[enum.StrEnum], *, name: str | None = None) -> Enum:
    """An enum as its lower-case words with a CHECK, so that both databases keep it the same way.

    `name` is the check's, where a table has two columns of one kind.
    """
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=name or kind.__name__.lower(),
        length=20,
        values_callable=lambda members: [m.value for m in members],
    )


class Model(DeclarativeBase):
    registry = registry(metadata=MetaData(naming_convention=NAMING), type_annotation_map={datetime: UtcDateTime()})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'id', '')}>"


db = SQLAlchemy(model_class=Model, disable_autonaming=True)

_writing: ContextVar[bool] = ContextVar("writing", default=False)


@contextmanager
def _marked_as_writing() -> Iterator[None]:
    if _writing.get():
        raise RuntimeError("a transaction within a transaction: edges open one per act")
    token = _writing.set(True)
    try:
        yield
    finally:
        _writing.reset(token)


@contextmanager
def transaction() -> Iterator[Session]:
    """One act in one transaction of `db.session`: committed at the end, rolled back on any error.

    What was read before is read again inside: on SQLite a reading transaction cannot turn into a writing
    one without the danger of "database is locked".
    """
    with _marked_as_writing():
        session: Session = db.session()
        session.rollback()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


@contextmanager
def write() -> Iterator[Connection]:
    """A writing transaction on a connection of its own, without the ORM: the engine's way."""
    with _marked_as_writing(), db.engine.begin() as connection:
        yield connection


@contextmanager
def giving_way() -> Iterator[None]:
    """Around each of many transactions that follow each other: leaves others as much time as it took.

    SQLite has one writer at a time, and whoever waits looks for his turn in growing pauses only: of gaps that are
    over at once he would find none, and a person's form would wait for seconds.
    """
    began = clock.steady()
    yield
    if db.engine.dialect.name == "sqlite":
        time.sleep(min(clock.steady() - began, LONGEST_GAP))


@contextmanager
def read() -> Iterator[Connection]:
    """A reading transaction on a connection of its own, given back at once."""
    with db.engine.connect() as connection:
        yield connection


@contextmanager
def large_joins() -> Iterator[None]:
    """For a question of `db.session` about all clients of an owner: tables are joined as wholes, not row by row.

    PostgreSQL would go row by row where it takes a mailing to be small, as it does a new one until its next
    ANALYZE: that is good for ten rows and takes minutes for a hundred thousand. Joined as wholes both are quick,
    and the rows fit into memory.
    """
    if db.engine.dialect.name != "postgresql":
        yield
        return
    settings = {"enable_nestloop": "off", "work_mem": "32MB"}
    db.session.execute(select(*(func.set_config(name, value, true()) for name, value in settings.items())))
    yield
    # The others may stay until the transaction ends, as all of them do with an error.
    db.session.execute(text("SET LOCAL enable_nestloop TO DEFAULT"))


@event.listens_for(Session, "before_flush")
def _refuse_stray_writes(session: Session, *_: Any) -> None:
    if not _writing.get() and (session.new or session.dirty or session.deleted):
        raise RuntimeError("a write outside transaction()")


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # the driver begins nothing by itself; _begin does
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {SQLITE_BUSY_SECONDS * 1000}",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@event.listens_for(Engine, "connect")
def _prepare_postgresql(connection: Any, _: Any) -> None:
    """No JIT: to compile a question, as PostgreSQL would for its costs, takes longer than to answer any of ours."""
    if isinstance(connection, sqlite3.Connection):
        return
    connection.execute("SET jit = off")
    connection.commit()


@event.listens_for(Engine, "begin")
def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writing.get() else "BEGIN")
    elif _writing.get():
        longest = LONGEST_SILENCE // timedelta(milliseconds=1)
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {longest}")


def engine_options(url: str) -> dict[str, Any]:
    """Options of the SQLAlchemy engine for this database."""
    if url.startswith("postgresql"):
        return {"pool_pre_ping": True, "pool_timeout": 10, "connect_args": POSTGRESQL_CONNECTION}
    return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}


def matches(words: str, *columns: Any) -> ColumnElement[bool]:
    """True where one of `columns`, which are never NULL, contains `words`, whatever their case.

    PostgreSQL's folding is what a search costs, so it folds all of them at once: `words` is one line, and no match
    reaches from one column into the next. SQLite folds the case of Latin letters only, so the usual spellings of
    other alphabets are tried too.
    """
    if db.engine.dialect.name != "sqlite":
        joined = reduce(lambda before, column: before + LINE_END + column, columns)
        return func.lower(joined).like(func.lower(f"%{_literal(words)}%"), escape="/")
    spellings = {words} if words.isascii() else {words, words.lower(), words.upper(), words.capitalize(), words.title()}
    return or_(*(c.icontains(s, autoescape=True) for c in columns for s in sorted(spellings)))


def _literal(words: str) -> str:
    """Words as a pattern that means only them."""
    return words.replace("/", "//").replace("%", "/%").replace("_", "/_")
