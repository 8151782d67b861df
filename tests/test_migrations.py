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
