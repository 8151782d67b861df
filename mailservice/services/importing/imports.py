"""Imports as their owner sees them: from the upload to the result, and back."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from flask_babel import gettext as _
from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import FileKind, Import, ImportRow, ImportStatus, RowState, User
from mailservice.services import ids, texts
from mailservice.services.importing import columns, files
from mailservice.services.importing.columns import Role
from mailservice.services.importing.files import Upload
from mailservice.services.pages import Page, fetch

LONGEST_NAME = 200
EXAMPLES = 5  # of each kind of row
SHOWN = 6  # records of a file
FILES_KEPT = timedelta(days=7)
KEPT = timedelta(days=30)  # the rows, and with them the way back
REJECTED = (RowState.INVALID, RowState.DUPLICATE, RowState.SUPPRESSED)
READ_AT_ONCE = 2000
ENCODINGS = ("utf-8", "cp1251", "cp1252", "utf-16")


class Existing(enum.StrEnum):
    """What happens to the names and comments of clients that are there already."""

    KEEP = "keep"
    OVERWRITE = "overwrite"


@dataclass(frozen=True)
class Example:
    """A row of the file, and what the client has or had before."""

    number: int
    email: str
    full_name: str
    comment: str
    reason: str | None
    old_full_name: str | None
    old_comment: str | None


def take_in(owner: User, source: IO[bytes], *, filename: str, folder: Path, largest: int) -> Upload:
    """Keeps a file of the owner's; Invalid (field “file”) when it is not one that we take. No transaction is needed."""
    return files.take_in(source, filename=filename, owner_id=owner.id, folder=folder, largest=largest)


def create(owner: User, upload: Upload, *, filename: str) -> Import:
    """A draft, with a guess of what its columns are."""
    made = Import(owner_id=owner.id, name=_file_name(filename), stored=upload.stored)
    db.session.add(made)
    return _read_as(made, upload)


def read_anew(found: Import, *, encoding: str, delimiter: str, folder: Path) -> Upload:
    """A draft's file read in another way; Invalid (field “file”) when it cannot be. No transaction is needed."""
    return files.read_as(folder, found.stored, encoding=encoding, delimiter=delimiter)


def read_as(found: Import, upload: Upload) -> Import:
    return _read_as(_move(found, ImportStatus.DRAFT, among=(ImportStatus.DRAFT,)), upload)


def reconsider(found: Import) -> Import:
    """Forgets the dry run: other columns may be chosen."""
    _move(found, ImportStatus.DRAFT, among=(ImportStatus.CHECKED,))
    db.session.execute(delete_rows(ImportRow).where(ImportRow.import_id == found.id))
    found.number, found.position = 0, found.start
    for state in RowState:
        setattr(found, state.value, 0)
    return found


def _read_as(found: Import, upload: Upload) -> Import:
    layout = columns.guess(upload.records)
    found.kind, found.encoding, found.delimiter = upload.kind, upload.encoding, upload.delimiter
    found.size, found.start, found.position = upload.size, upload.start, upload.start
    found.has_header, found.columns = layout.has_header, [role.value for role in layout.roles]
    return found


def own(owner: User, import_id: int, *, lock: bool = False) -> Import:
    """The owner's import; NotFound for everybody else's and for none."""
    found = None
    if ids.possible(import_id):
        query = select(Import).where(Import.id == import_id, Import.owner_id == owner.id)
        found = db.session.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound(_("There is no such import."))
    return found


def of(owner: User, *, number: int, size: int) -> Page[Import]:
    """The owner's imports, the latest first."""
    query = select(Import).where(Import.owner_id == owner.id).order_by(Import.created_at.desc(), Import.id.desc())
    return fetch(query, number=number, size=size)


def first_records(found: Import, folder: Path) -> list[list[str]]:
    """Some records for the eye; none when the file is gone."""
    try:
        if found.kind is FileKind.WORKBOOK and not files.ready_path(folder, found.stored).exists():
            return files.workbooks.sample(files.raw_path(folder, found.stored), SHOWN)
        records: list[list[str]] = []
        ready = files.ready_path(folder, found.stored)
        for _position, cells in files.read(ready, delimiter=found.delimiter, position=found.start):
            records += [cells] if any(cells) else []
            if len(records) == SHOWN:
                break
        return records
    except (OSError, Invalid):
        return []


def check(found: Import, *, roles: Sequence[str], has_header: bool, existing: Existing) -> Import:
    """Asks for a dry run with these columns; Invalid (field “columns”) unless one of them has the addresses."""
    if sum(role == Role.EMAIL for role in roles) != 1:
        raise Invalid(_("Choose one column that holds the e-mail addresses."), field="columns")
    if not found.stored:
        raise Refused(_("The file of this import is deleted. Upload it again."))
    _move(found, ImportStatus.CHECKING, among=(ImportStatus.DRAFT,))
    found.columns, found.has_header = [Role(role).value for role in roles], has_header
    found.overwrites = existing is Existing.OVERWRITE
    return found


def start(found: Import) -> Import:
    """Asks for what the dry run has shown."""
    if not found.new + found.changed:
        raise Refused(_("There is nothing in this file that would change anything."))
    return _move(found, ImportStatus.RUNNING, among=(ImportStatus.CHECKED,))


def undo(found: Import) -> Import:
    """Asks for everything to be taken back that nothing else has touched since."""
    if not may_undo(found):
        raise Refused(_("This import can no longer be undone."))
    return _move(found, ImportStatus.UNDOING, among=(ImportStatus.DONE,))


def may_undo(found: Import) -> bool:
    return found.status is ImportStatus.DONE and clock.now() < found.created_at + KEPT


def undo_until(found: Import) -> datetime:
    return found.created_at + KEPT


def delete(found: Import) -> str:
    """Throws an import away that has changed nothing, or can no longer be undone; what its files are called."""
    if found.is_at_work or may_undo(found):
        raise Refused(_("This import cannot be deleted now."))
    db.session.execute(delete_rows(Import).where(Import.id == found.id))
    return found.stored


def examples(found: Import, state: RowState) -> list[Example]:
    """The first rows of a kind."""
    return [_example(row) for row in _rows(found.id, (state,), after=0, limit=EXAMPLES)]


def rejected(import_id: int) -> Iterator[tuple[RowState, Example]]:
    """Every row that was left out, read in pieces."""
    after = 0
    while rows := _rows(import_id, REJECTED, after=after, limit=READ_AT_ONCE):
        after = rows[-1].number
        for row in rows:
            yield row.state, _example(row)
        db.session.expunge_all()


def _rows(import_id: int, states: Sequence[RowState], *, after: int, limit: int) -> Sequence[ImportRow]:
    query = (
        select(ImportRow)
        .where(ImportRow.import_id == import_id, ImportRow.state.in_(states), ImportRow.number > after)
        .order_by(ImportRow.number)
        .limit(limit)
    )
    return db.session.scalars(query).all()


def _example(row: ImportRow) -> Example:
    return Example(row.number, row.email, row.full_name, row.comment, row.reason, row.old_full_name, row.old_comment)


def _move(found: Import, to: ImportStatus, *, among: Sequence[ImportStatus]) -> Import:
    if found.status not in among:
        raise Refused(_("This import has gone on meanwhile."))
    found.status, found.touched_at = to, clock.now()
    return found


def _file_name(text: str) -> str:
    """As its owner calls the file, without the folders that some browsers tell."""
    name = texts.search_words(text.replace("\\", "/").rpartition("/")[2])
    return name[:LONGEST_NAME]
