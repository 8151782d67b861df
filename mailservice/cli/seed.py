"""`flask seed`: fills an empty database with the demonstration."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import with_appcontext
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from config import Settings
from mailservice import clock
from mailservice.database import db, transaction
from mailservice.services import demo, passwords

PASSWORD = "demo-mailservice"  # nosec B105: printed on every start, and never made in production
# (role, address, password) of each demo user, for the box that `flask up` prints.
SIGN_INS = [
    ("user", "anna@example.org", PASSWORD),
    ("user", "john@example.org", PASSWORD),
    ("manager", "manager@example.org", PASSWORD),
    ("admin", "admin@example.org", PASSWORD),
]


@click.command("seed")
@click.option("--if-empty", is_flag=True, help="Quietly do nothing when the database has users.")
@with_appcontext
def command(if_empty: bool) -> None:
    """Fill an empty database with the demonstration: users, clients, mailings with a past, blog posts."""
    settings: Settings = current_app.config["SETTINGS"]
    if settings.production:
        raise click.ClickException("The demo data has known passwords: it is not loaded in production.")
    try:
        filled = _fill(settings)
        held = 0 if settings.embedded_inbox else _hold()
    except (OperationalError, ProgrammingError) as error:
        raise click.ClickException(f"{error.orig} Are the tables there? They are made by: flask db upgrade") from None
    except IntegrityError:
        raise click.ClickException("Somebody else is filling this database at the same time.") from None
    if held:
        click.echo(f"Mail goes to {_names(settings)} now, so the demo mailings are paused.")
    if filled:
        _say(settings)
    elif not if_empty:
        raise click.ClickException("The database is not empty: the demo data is loaded into an empty one only.")


def _fill(settings: Settings) -> bool:
    """False when there is somebody already; the slow hash is made outside the transaction."""
    is_empty = demo.is_empty()
    db.session.rollback()
    if not is_empty:
        return False
    password_hash = passwords.hashed(PASSWORD)
    with transaction():
        if demo.is_empty():
            scene = demo.Scene(
                now=clock.now(),
                password_hash=password_hash,
                sender=settings.mail_sender,
                may_send=settings.embedded_inbox,
            )
            demo.fill(scene)
            return True
    return False


def _hold() -> int:
    with transaction():
        return demo.hold(clock.now())


def _names(settings: Settings) -> str:
    return ", ".join(server.name for server in settings.servers)


def _say(settings: Settings) -> None:
    click.echo("The demo data is loaded.")
    if not settings.embedded_inbox:
        click.echo(f"Mail goes to {_names(settings)}, so every demo mailing is paused: nothing is sent by itself.")
