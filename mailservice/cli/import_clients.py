"""`flask import-clients`: a file of clients, in the foreground and without Redis."""

from __future__ import annotations

from pathlib import Path

import click
from flask import current_app
from flask_babel import force_locale

from config import Settings
from mailservice.database import db, transaction
from mailservice.errors import DomainError
from mailservice.jobs import importing
from mailservice.models import Import, ImportStatus, RowState, User
from mailservice.services import users
from mailservice.services.importing import imports
from mailservice.services.importing.columns import Role
from mailservice.services.importing.imports import Existing

ROLES = [role.value for role in Role if role]


@click.command("import-clients")
@click.argument("owner")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--column", "given", multiple=True, metavar="N=ROLE", help=f"What column N is: {', '.join(ROLES)}.")
@click.option("--header/--no-header", default=None, help="Whether the first row holds titles; guessed by default.")
@click.option("--overwrite", is_flag=True, help="Replace names and comments that are there already.")
@click.option("--dry-run", is_flag=True, help="Show what would happen and change nothing.")
def command(
    owner: str, path: Path, given: tuple[str, ...], header: bool | None, overwrite: bool, dry_run: bool
) -> None:
    """Import the clients in FILE (CSV or XLSX) for the user with the address OWNER.

    A stopped import goes on by itself, with the workers or `flask send-mailings`. Its page has the rows that were
    left out, and undoes it.
    """
    with force_locale("en"):
        try:
            found = _taken_in(users.by_email(owner), path)
            _check(found, given, header, Existing.OVERWRITE if overwrite else Existing.KEEP)
            if not dry_run and found.new + found.changed:
                _start(found)
        except DomainError as error:
            raise click.ClickException(error.message) from None
    _tell(found)


def _taken_in(owner: User, path: Path) -> Import:
    settings: Settings = current_app.config["SETTINGS"]
    with path.open("rb") as source:
        upload = imports.take_in(
            owner, source, filename=path.name, folder=settings.imports_path, largest=path.stat().st_size
        )
    with transaction():
        return imports.create(owner, upload, filename=path.name)


def _check(found: Import, given: tuple[str, ...], header: bool | None, existing: Existing) -> None:
    with transaction():
        has_header = found.has_header if header is None else header
        imports.check(found, roles=_roles(found.columns, given), has_header=has_header, existing=existing)
    _work(found)
    if found.status is ImportStatus.FAILED:
        raise click.ClickException(found.failure)


def _start(found: Import) -> None:
    with transaction():
        imports.start(found)
    _work(found)


def _work(found: Import) -> None:
    importing.work_on(found.id, must_stop=lambda: False)
    db.session.refresh(found)


def _roles(guessed: list[str], given: tuple[str, ...]) -> list[str]:
    """The guess, or exactly what was given."""
    if not given:
        return guessed
    roles = [""] * len(guessed)
    for text in given:
        number, _, role = text.partition("=")
        if not number.isdecimal() or not 0 < int(number) <= len(roles) or role not in ROLES:
            raise click.BadParameter(f"“{text}” is not a column's number from 1 to {len(roles)}, “=” and a role.")
        roles[int(number) - 1] = role
    return roles


def _tell(found: Import) -> None:
    counts = ", ".join(f"{getattr(found, state.value)} {state.value}" for state in RowState)
    what = "done" if found.status is ImportStatus.DONE else "nothing was changed"
    click.echo(f"Import {found.id}: {found.rows} rows, {counts}; {what}.")
