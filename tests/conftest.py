"""The ground the tests stand on: an app on each database, clean before every test, and real servers.

A test that asks for `app` (or for anything built on it) runs twice: on SQLite and on PostgreSQL. Servers and
apps live as long as the session and start when first asked for; rows, keys and files go between the tests.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import gc
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import Engine, event

from config import Settings, load
from tests import servers, sharing_out

if TYPE_CHECKING:
    from xdist.scheduler import Scheduling

    from tests.faults.mail_server import MailServer

DATABASES = ("sqlite", "postgresql")
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # `make test` hands them down, and tests start a make of their own
    os.environ.pop(name, None)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C, and so would all it starts
gc.set_threshold(100_000, 50, 1000)  # Python looks for garbage less often: a twentieth of the time
SECRET_KEY = "a key for tests only, long enough for everyone"


class Browser(FlaskClient):
    """Flask's test client, each of whose requests has an app context of its own, as in a real server.

    Otherwise a request would share the test's context, and with it `g`, the session and the signed-in user.
    """

    def open(self, *args: Any, **kwargs: Any) -> Any:
        from mailservice.database import db

        try:
            return contextvars.Context().run(functools.partial(super().open, *args, **kwargs))
        finally:
            with contextlib.suppress(RuntimeError):  # a test without an app context has no session
                db.session.rollback()  # what the test holds is read again: the request may have changed it


@event.listens_for(Engine, "connect")
def _promise_no_order(connection: Any, _: Any) -> None:
    """SQLite answers backwards what names no order: who leans on one without asking for it fails each time.

    On PostgreSQL it would be once in a hundred runs, when a row is put where an older one was.
    """
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA reverse_unordered_selects = ON")


@dataclass
class Installation:
    """An app on one database, made once; `clean` brings it back to its first state."""

    app: Flask
    settings: Settings
    clean: Callable[[], None]
    limits: dict[str, Any]  # the limiter as this app has bound it: any app that is made after it binds it anew


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    with servers.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with servers.valkey() as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """The test's own connection to an empty Valkey."""
    with contextlib.closing(Redis.from_url(redis_url)) as connection:
        connection.flushall()
        yield connection


@pytest.fixture(scope="session")
def mail_port() -> int:
    """The port that the apps take for their mail server's; only `mail_server` listens there."""
    return servers.free_ports()[0]


@pytest.fixture
def mail_server(mail_port: int) -> Iterator[MailServer]:
    """A mail server that does what the test tells it; the app sends there."""
    from tests.faults.mail_server import MailServer

    with MailServer(port=mail_port) as server:
        yield server


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The name of the database that this run of the test is on."""
    return request.param


@pytest.fixture(scope="session")
def make_settings(tmp_path_factory: pytest.TempPathFactory, redis_url: str, mail_port: int) -> Callable[..., Settings]:
    """Makes Settings for tests from values given by their environment names."""

    def make(**values: object) -> Settings:
        environ = {
            "INSTANCE_PATH": str(tmp_path_factory.mktemp("instance")),
            "SECRET_KEY": SECRET_KEY,
            "REDIS_URL": redis_url,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(mail_port),
            "MAIL_SECURITY": "none",
            "MAIL_SENDER": "Mailservice <mailservice@example.org>",
            "DEFAULT_LANGUAGE": "en",  # what the tests read; test_translations.py reads the Russian
        }
        return load(environ | {name: str(value) for name, value in values.items()})

    return make


@pytest.fixture(scope="session")
def installations() -> dict[str, Installation]:
    """The apps made so far, by database."""
    return {}


@pytest.fixture
def installation(
    request: pytest.FixtureRequest,
    database: str,
    make_settings: Callable[..., Settings],
    installations: dict[str, Installation],
    redis: Redis,
) -> Installation:
    from mailservice.extensions import limiter

    if database not in installations:
        if database == "sqlite":
            installations[database] = _on_sqlite(make_settings())
        else:
            url = servers.new_database(request.getfixturevalue("postgresql_server"))
            installations[database] = _on_postgresql(make_settings(DATABASE_URL=url))
    made = installations[database]
    made.clean()
    vars(limiter).update(made.limits)
    return made


@pytest.fixture
def settings(installation: Installation) -> Settings:
    return installation.settings


@pytest.fixture
def app(installation: Installation) -> Iterator[Flask]:
    """The app on an empty database and an empty Redis, with an app context pushed for the test."""
    from mailservice.database import db

    config = dict(installation.app.config)
    with installation.app.app_context():
        yield installation.app
        db.session.remove()
    installation.app.config.clear()
    installation.app.config.update(config)


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2 with weak parameters: its price is what test_passwords.py is about, and nobody else."""
    from mailservice.services import passwords
    from tests import factories

    monkeypatch.setattr(passwords, "HASHER", factories.HASHER)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def _make_app(settings: Settings) -> tuple[Flask, dict[str, Any]]:
    from flask_migrate import upgrade

    from config import ROOT
    from mailservice.app import create_app
    from mailservice.database import db
    from mailservice.extensions import limiter

    app = create_app(settings)
    app.test_client_class = Browser
    app.testing = True
    with app.app_context():
        if (ROOT / "migrations" / "env.py").exists():
            upgrade(str(ROOT / "migrations"))
        else:
            db.create_all()
        db.engine.dispose()
    return app, dict(vars(limiter))


def _on_sqlite(settings: Settings) -> Installation:
    """Clean is a copy of the migrated file: quicker than deleting, and ids begin anew."""
    from mailservice.database import db

    app, limits = _make_app(settings)
    path = settings.instance_path / "mailservice.db"
    template = path.with_suffix(".template")
    shutil.copyfile(path, template)

    def clean() -> None:
        with app.app_context():
            db.engine.dispose()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        # A new file under the old name: whoever still holds the old one cannot write into the new.
        shutil.copyfile(template, path.with_suffix(".fresh"))
        path.with_suffix(".fresh").replace(path)
        _clean_files(settings)

    return Installation(app, settings, clean, limits)


def _on_postgresql(settings: Settings) -> Installation:
    """Clean deletes the rows without asking triggers and foreign keys: TRUNCATE costs ten times as much."""
    from mailservice.database import db

    app, limits = _make_app(settings)
    tables = [t.name for t in db.metadata.sorted_tables]
    statements = ["SET LOCAL session_replication_role = replica", *(f'DELETE FROM "{t}"' for t in tables)]

    def clean() -> None:
        with app.app_context(), db.engine.begin() as connection:
            connection.exec_driver_sql("; ".join(statements))
        _clean_files(settings)

    return Installation(app, settings, clean, limits)


def _clean_files(settings: Settings) -> None:
    for path in settings.instance_path.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return sharing_out.Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sharing_out.in_order(items)


def pytest_report_header() -> str:
    found = Path("/usr/bin/chromium").exists() or shutil.which("chromium")
    return "Chromium: found" if found else "Chromium: absent, tests marked “browser” are skipped"
