"""Imports for tests: from a text to an import in any of its states, worked off in this process."""

from __future__ import annotations

import io

from openpyxl import Workbook
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.jobs import importing
from mailservice.models import Client, Import, User
from mailservice.services.importing import imports
from mailservice.services.importing.imports import Existing

MEGABYTE = 1 << 20


def take_in(owner: User, data: bytes | str, *, filename: str = "clients.csv", largest: int = MEGABYTE) -> Import:
    """A draft."""
    data = data.encode() if isinstance(data, str) else data
    folder = importing.imports_path()
    upload = imports.take_in(owner, io.BytesIO(data), filename=filename, folder=folder, largest=largest)
    with transaction():
        return imports.create(owner, upload, filename=filename)


def check(found: Import, *, existing: Existing = Existing.KEEP, roles: list[str] | None = None) -> Import:
    """With the dry run done, in the columns that were guessed unless `roles` are given."""
    with transaction():
        found = db.session.get_one(Import, found.id)
        imports.check(found, roles=roles or found.columns, has_header=found.has_header, existing=existing)
    return work(found)


def start(found: Import) -> Import:
    with transaction():
        imports.start(db.session.get_one(Import, found.id))
    return work(found)


def undo(found: Import) -> Import:
    with transaction():
        imports.undo(db.session.get_one(Import, found.id))
    return work(found)


def work(found: Import) -> Import:
    importing.work_on(found.id, must_stop=lambda: False)
    return db.session.get_one(Import, found.id, populate_existing=True)


def run(owner: User, data: bytes | str, *, filename: str = "clients.csv", **options) -> Import:
    """From the file to the clients."""
    return start(check(take_in(owner, data, filename=filename), **options))


def workbook(*rows: list) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def clients_of(owner: User) -> dict[str, tuple[str, str]]:
    """Name and comment by address."""
    query = select(Client.email, Client.full_name, Client.comment).where(Client.owner_id == owner.id)
    return {email: (name, comment) for email, name, comment in db.session.execute(query)}
