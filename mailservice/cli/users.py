"""`flask users`: the first administrator is made here, and whoever locked himself out is let in again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click
from flask import current_app
from flask.cli import AppGroup
from flask_babel import force_locale
from sqlalchemy.exc import OperationalError, ProgrammingError

from config import LANGUAGES, Settings
from mailservice.database import transaction
from mailservice.errors import DomainError
from mailservice.models import Role, User
from mailservice.services import accounts, users

ROLES = click.Choice([role.value for role in Role])
command = AppGroup("users", help="Make users, give them roles, block them.")


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """What the services refuse becomes a line and exit code 1."""
    with force_locale("en"):
        try:
            yield
        except DomainError as error:
            raise click.ClickException(error.message) from None
        except (OperationalError, ProgrammingError) as error:
            raise click.ClickException(f"The database: {error.orig}") from None


@command.command("create")
@click.argument("email")
@click.option("--name", "full_name", default="", help="Full name; letters show it.")
@click.option("--role", type=ROLES, default=Role.USER.value, show_default=True)
@click.option("--language", type=click.Choice(LANGUAGES), help="Of pages and letters; by default the service's.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def create(email: str, full_name: str, role: str, language: str | None, password_stdin: bool) -> None:
    """Make a user with this address; it counts as confirmed."""
    settings: Settings = current_app.config["SETTINGS"]
    with _in_words():
        password = _read_password(password_stdin)
        password_hash = accounts.check_registration(email=email, full_name=full_name, password=password)
        with transaction():
            user = users.create(
                email=email,
                full_name=full_name,
                password_hash=password_hash,
                role=Role(role),
                language=language or settings.default_language,
                time_zone=settings.default_time_zone,
            )
            click.echo(f"{user.email} is made: {user.role.value}.")


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt="The same again"))


@command.command("promote")
@click.argument("email")
@click.argument("role", type=ROLES)
def promote(email: str, role: str) -> None:
    """Give a user another role; he signs in anew."""
    with _in_words(), transaction():
        user = users.set_role(users.by_email(email), role=Role(role))
        click.echo(f"{user.email} is now: {user.role.value}.")


@command.command("block")
@click.argument("email")
@click.option("--reason", required=True, help="Why; managers see it.")
def block(email: str, reason: str) -> None:
    """Sign a user out, let him in no more, and stop his mailings."""
    with _in_words(), transaction():
        user = users.block(users.by_email(email), reason=reason)
        click.echo(f"{user.email} is blocked.")


@command.command("unblock")
@click.argument("email")
def unblock(email: str) -> None:
    """Let a blocked user in again."""
    with _in_words(), transaction():
        user = users.unblock(users.by_email(email))
        click.echo(f"{user.email} may sign in again.")


@command.command("editor")
@click.argument("email")
@click.option("--revoke", is_flag=True, help="Take the right away.")
def editor(email: str, revoke: bool) -> None:
    """Let a user write the blog; administrators may anyway."""
    with _in_words(), transaction():
        user = users.make_editor(users.by_email(email), is_editor=not revoke)
        click.echo(f"{user.email} may {'write' if user.is_editor else 'no longer write'} the blog.")


@command.command("list")
def show() -> None:
    """Show all users."""
    with _in_words():
        rows = [("address", "name", "role", "since", "state"), *map(_row, users.everyone())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(user: User) -> tuple[str, ...]:
    if user.blocked_at:
        state = f"blocked: {user.blocked_reason or ''}".rstrip()
    else:
        state = "" if user.is_confirmed else "not confirmed"
    return (user.email, user.full_name, user.role.value, f"{user.created_at:%Y-%m-%d}", state)
