"""The migrations lead to what the models say, on both databases, and back to nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import Engine, create_engine, inspect

from config import ROOT
from mailservice.app import create_app
from mailservice.database import db
from tests import servers

MIGRATIONS = str(ROOT / "migrations")


@pytest.fixture
def empty_app(database, make_settings, request) -> Iterator[Flask]:
    """An app on an empty database of its own."""
    values = {}
    if database == "postgresql":
        values["DATABASE_URL"] = servers.new_database(request.getfixturevalue("postgresql_server"))
    app = create_app(make_settings(**values))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@contextmanager
def made_by_the_models(app: Flask, database: str, tmp_path, request) -> Iterator[Engine]:
    """A database whose tables the models made, without any migration."""
    url = f"sqlite:///{tmp_path}/models.db"
    if database == "postgresql":
        url = servers.new_database(request.getfixturevalue("postgresql_server"))
        url = re.sub("^postgresql:", "postgresql+psycopg:", url)
    engine = create_engine(url)
    db.metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def test_alembic_finds_no_difference(empty_app):
    upgrade(MIGRATIONS)
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []


def test_migrated_tables_are_those_that_the_models_make(empty_app, database, tmp_path, request):
    """What Alembic does not compare, too: checks, partial indexes, what a foreign key does on delete."""
    upgrade(MIGRATIONS)
    with made_by_the_models(empty_app, database, tmp_path, request) as made:
        migrated, modelled = described(db.engine), described(made)
    for table in modelled:
        assert migrated.get(table) == modelled[table], table
    assert migrated.keys() - {"alembic_version"} == modelled.keys()


def described(engine: Engine) -> dict[str, dict[str, object]]:
    inspector = inspect(engine)
    return {
        table: {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"], plain(c["default"])) for c in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
            "foreign": in_order(inspector.get_foreign_keys(table)),
            "unique": in_order(inspector.get_unique_constraints(table)),
            "indexes": in_order(inspector.get_indexes(table)),
            "checks": {c["name"]: plain(c["sqltext"]) for c in inspector.get_check_constraints(table)},
            "autoincrement": engine.dialect.name == "sqlite" and has_autoincrement(engine, table),
        }
        for table in inspector.get_table_names()
    }


def in_order(rows: list) -> list[str]:
    """Rows of different runs can be compared: an index's condition is an object, which is told by its text."""
    flat = ({n: {k: str(v) for k, v in x.items()} if isinstance(x, dict) else x for n, x in r.items()} for r in rows)
    return sorted(str(sorted(row.items())) for row in flat)


def plain(sql: object) -> str | None:
    return None if sql is None else re.sub(r"[\s()'\"]+", " ", str(sql)).strip()


def has_autoincrement(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        query = sa.text("SELECT sql FROM sqlite_master WHERE name = :name")
        return "AUTOINCREMENT" in (connection.scalar(query, {"name": table}) or "")


def test_every_enum_is_checked_by_the_database(empty_app):
    upgrade(MIGRATIONS)
    inspector = inspect(db.engine)
    for table in db.metadata.sorted_tables:
        checks = " ".join(str(c["sqltext"]) for c in inspector.get_check_constraints(table.name))
        for column in table.columns:
            if isinstance(column.type, sa.Enum):
                for word in column.type.enums:
                    assert f"'{word}'" in checks, f"{table.name}.{column.name} may not be {word}"


def test_downgrading_leaves_nothing_and_upgrading_again_works(empty_app):
    upgrade(MIGRATIONS)
    first = described(db.engine)
    downgrade(MIGRATIONS, "base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    upgrade(MIGRATIONS)
    assert described(db.engine) == first


def test_names_of_constraints_are_chosen_by_us_so_that_a_migration_can_name_them(empty_app):
    upgrade(MIGRATIONS)
    inspector = inspect(db.engine)
    for table in db.metadata.tables:
        made = (
            inspector.get_unique_constraints(table)
            + inspector.get_foreign_keys(table)
            + inspector.get_check_constraints(table)
        )
        assert [c for c in made if not c["name"]] == []


def test_a_later_migration_keeps_the_rows_of_an_earlier_one(empty_app):
    """Even where SQLite makes a table anew: what refers to it must not go with the old one."""
    upgrade(MIGRATIONS, "0001")
    user = {"id": 7, "email": "a@example.org", "email_normalised": "a@example.org", "password_hash": "x"}
    user |= {"session_key": "k", "full_name": "Anna", "role": "user", "language": "en", "time_zone": "UTC"}
    message = {"id": 1, "owner_id": 7, "subject": "News", "body": "Good day"}
    with db.engine.begin() as connection:
        insert(connection, "users", user | {"created_at": "2026-01-01"})
        insert(connection, "messages", message | {"created_at": "2026-01-01", "updated_at": "2026-01-01"})
    upgrade(MIGRATIONS)
    with db.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT id, email FROM users")).all() == [(7, "a@example.org")]
        assert connection.execute(sa.text("SELECT subject FROM messages")).scalars().all() == ["News"]


def insert(connection: sa.Connection, table: str, values: dict[str, object]) -> None:
    columns, names = ", ".join(values), ", ".join(f":{name}" for name in values)
    connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({names})"), values)


# Read as a whole when a user is deleted, which is seldom, and they are small.
SMALL = {"users.blocked_by_id", "mailings.disabled_by_id", "posts.author_id"}


def test_what_goes_with_a_row_is_found_by_an_index(empty_app):
    """Otherwise deleting a mailing with many deliveries would read all results once for each."""
    unindexed = set()
    for table in db.metadata.tables.values():
        orders = [list(table.primary_key.columns.keys())]
        orders += [list(c.columns.keys()) for c in table.constraints if isinstance(c, sa.UniqueConstraint)]
        orders += [list(index.columns.keys()) for index in table.indexes if not index.dialect_kwargs.keys()]
        firsts = {order[0] for order in orders if order}
        keys = [key.column_keys[0] for key in table.foreign_key_constraints]
        unindexed |= {f"{table.name}.{key}" for key in keys if key not in firsts}
    assert unindexed == SMALL
