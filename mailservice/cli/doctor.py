"""`flask doctor`: looks whether everything that the service needs is in order, and says what is not."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from config import ROOT, Settings
from mailservice.database import db, read
from mailservice.jobs import doorbell
from mailservice.jobs.house import house
from mailservice.sending import probing
from mailservice.sending.links import Route
from mailservice.services import invariants

SHOWN = 5  # rows that break a rule
Check = Callable[[Settings], str]


class Wrong(Exception):
    """What is not in order, in words for a person."""


@click.command("doctor")
@with_appcontext
def command() -> None:
    """Check settings, database, Redis, mail server, the instance folder and the ledger. Exits with 1 on any FAIL."""
    settings: Settings = current_app.config["SETTINGS"]
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what it looks at is noise
    checks: list[tuple[str, Check]] = [
        ("settings", _settings),
        ("instance folder", _folder),
        ("database", _database),
        ("migrations", _migrations),
        ("redis", _redis),
        *_of_mail_servers(settings),
        ("ledger", _ledger),
    ]
    results = [_run(name, check, settings) for name, check in checks]
    sys.exit(0 if all(results) else 1)


def _run(name: str, check: Check, settings: Settings) -> bool:
    try:
        said, is_well = check(settings), True
    except Wrong as wrong:
        said, is_well = str(wrong), False
    except SQLAlchemyError as error:
        said, is_well = _first_line(getattr(error, "orig", None) or error), False
    except OSError as error:
        said, is_well = _first_line(error), False
    click.echo(f"{'ok' if is_well else 'FAIL':<4}  {name:<15}  {said}")
    return is_well


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _settings(settings: Settings) -> str:
    """They were checked when the program started: with a bad one it does not get as far as this."""
    return f"{settings.environment}, {settings.public_url}"


def _folder(settings: Settings) -> str:
    for folder in (settings.instance_path, settings.journal_path):
        if folder.exists() or folder == settings.instance_path:
            _check_writable(folder)
    return str(settings.instance_path)


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Wrong(f"{folder} cannot be written: {error.strerror}") from None


def _database(settings: Settings) -> str:
    with read() as connection:
        connection.exec_driver_sql("SELECT 1")
    return db.engine.url.render_as_string(hide_password=True)


def _migrations(settings: Settings) -> str:
    wanted = set(ScriptDirectory(str(ROOT / "migrations")).get_heads())
    with read() as connection:
        found = set(MigrationContext.configure(connection).get_current_heads())
    if found != wanted:
        at = ", ".join(sorted(found)) or "nothing"
        raise Wrong(f"the tables are at {at} instead of {', '.join(sorted(wanted))}; run: flask db upgrade")
    return ", ".join(sorted(found))


def _redis(settings: Settings) -> str:
    if why := doorbell.why_not():
        raise Wrong(f"{why}{'; “make run” starts one' if settings.embedded_redis else ''}")
    return "the service's own" if settings.embedded_redis else "as REDIS_URL says"


def _of_mail_servers(settings: Settings) -> list[tuple[str, Check]]:
    """A check for each; with a number where there are several."""
    routes = house().routes
    if len(routes) == 1:
        return [("mail server", partial(_mail_server, route=routes[0]))]
    return [(f"mail server {n}", partial(_mail_server, route=route)) for n, route in enumerate(routes, start=1)]


def _mail_server(settings: Settings, *, route: Route) -> str:
    if why := probing.why_not(route.server):
        hint = "; “make run” starts the local inbox" if settings.embedded_inbox else ""
        raise Wrong(f"{route.name}: {why}{hint}")
    words = [route.name, route.server.security.value, f"weight {route.weight:g}", str(route.limits)]
    return ", ".join(word for word in words if word)


def _ledger(settings: Settings) -> str:
    with read() as connection:
        broken = invariants.broken(connection)
    if broken:
        rules = (f"“{rule}” is broken by {', '.join(map(str, ids[:SHOWN]))}" for rule, ids in broken.items())
        raise Wrong("; ".join(rules))
    return f"{len(invariants.QUERIES)} rules hold"
