"""The steps of an import at work. Each is one transaction of its caller's, and says how far it is in the import's
own row, which it locks: lost, doubled or killed in the middle, no step is made twice and none is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.models import FileKind, Import, ImportRow, ImportStatus
from mailservice.services import audit
from mailservice.services.audit import Action
from mailservice.services.importing import ledger
from mailservice.services.importing.imports import FILES_KEPT, KEPT
from mailservice.services.importing.ledger import Slice
from mailservice.services.importing.rows import Row

SIZE = 5000  # records of one step
STILL = timedelta(seconds=15)  # without a sign of life nobody is at work on it


@dataclass(frozen=True)
class Plan:
    """What one who goes on with an import has to know."""

    import_id: int
    owner_id: int
    language: str
    status: ImportStatus
    stored: str
    kind: FileKind
    delimiter: str
    roles: tuple[str, ...]
    has_header: bool
    position: int
    number: int


def plan(import_id: int) -> Plan | None:
    """None when there is nothing to do."""
    found = db.session.get(Import, import_id)
    if found is None or not found.is_at_work:
        return None
    return Plan(
        import_id,
        found.owner_id,
        found.owner.language,
        found.status,
        found.stored,
        found.kind,
        found.delimiter,
        tuple(found.columns),
        found.has_header,
        found.position,
        found.number,
    )


def note_size(import_id: int, size: int) -> None:
    if found := _locked(import_id, ImportStatus.CHECKING):
        found.size = size


def take(import_id: int, rows: Sequence[Row], *, after: int, upto: int, position: int) -> bool:
    """Writes what was read of the file after record `after`; False when somebody else is further."""
    found = _locked(import_id, ImportStatus.CHECKING)
    if found is None or found.number != after:
        return False
    part = _slice(found, after, upto)
    ledger.add(part, rows)
    for state, count in ledger.counts(part).items():
        setattr(found, state, getattr(found, state) + count)
    found.number, found.position = upto, position
    return True


def finish_check(import_id: int, *, number: int) -> None:
    found = _locked(import_id, ImportStatus.CHECKING)
    if found and found.number == number:
        found.status = ImportStatus.CHECKED


def fail(import_id: int, message: str) -> None:
    """The file could not be read to its end."""
    if found := _locked(import_id, ImportStatus.CHECKING):
        found.status, found.failure, found.finished_at = ImportStatus.FAILED, message, clock.now()


def carry_out(import_id: int) -> bool:
    """Makes and changes the clients of the next slice; whether more is left."""
    found = _locked(import_id, ImportStatus.RUNNING)
    if found is None:
        return False
    part = _slice(found, found.applied, min(found.applied + SIZE, found.number))
    for state, difference in ledger.carry_out(part, clock.now()).items():
        setattr(found, state, getattr(found, state) + difference)
    found.applied = part.upto
    if found.applied < found.number:
        return True
    found.status, found.finished_at = ImportStatus.DONE, clock.now()
    audit.note(found.owner, Action.IMPORTED, subject=found, rows=found.rows, new=found.new, changed=found.changed)
    return False


def take_back(import_id: int) -> bool:
    """Undoes the next slice; whether more is left."""
    found = _locked(import_id, ImportStatus.UNDOING)
    if found is None:
        return False
    part = _slice(found, found.undone, min(found.undone + SIZE, found.number))
    removed, restored = ledger.take_back(part, clock.now())
    found.removed, found.restored, found.undone = found.removed + removed, found.restored + restored, part.upto
    if found.undone < found.number:
        return True
    found.status, found.finished_at = ImportStatus.UNDONE, clock.now()
    audit.note(found.owner, Action.IMPORT_UNDONE, subject=found, removed=found.removed, restored=found.restored)
    return False


def touch(import_id: int) -> None:
    """A sign of life."""
    if (found := db.session.get(Import, import_id)) and found.is_at_work:
        found.touched_at = clock.now()


def at_work() -> list[int]:
    """Everything that is not through, the oldest first."""
    return list(db.session.scalars(select(Import.id).where(_IS_AT_WORK).order_by(Import.id)))


def standing_still(now: datetime) -> list[int]:
    """What nobody has been at for a while; whoever asks is taken to ring for it, and asks again later."""
    query = select(Import).where(_IS_AT_WORK, Import.touched_at < now - STILL).order_by(Import.id)
    found = db.session.scalars(query.with_for_update(skip_locked=True)).all()
    for row in found:
        row.touched_at = now
    return [row.id for row in found]


def is_anything_still(now: datetime) -> bool:
    query = select(Import.id).where(_IS_AT_WORK, Import.touched_at < now - STILL)
    return db.session.scalar(query.limit(1)) is not None


def expire(now: datetime) -> None:
    """Forgets drafts, the rows and the files' names of imports that are past their time."""
    unfinished = Import.status.in_((ImportStatus.DRAFT, ImportStatus.CHECKED, ImportStatus.FAILED))
    db.session.execute(delete_rows(Import).where(unfinished, Import.created_at < now - FILES_KEPT))
    old = select(Import).where(Import.stored != "", Import.created_at < now - FILES_KEPT, ~_IS_AT_WORK)
    for found in db.session.scalars(old):
        found.stored = ""
    ended = select(Import.id).where(~_IS_AT_WORK, Import.created_at < now - KEPT)
    db.session.execute(delete_rows(ImportRow).where(ImportRow.import_id.in_(ended)))


def known_files() -> set[str]:
    return set(db.session.scalars(select(Import.stored).where(Import.stored != "")))


_IS_AT_WORK = Import.status.in_(Import.AT_WORK)


def _locked(import_id: int, status: ImportStatus) -> Import | None:
    """The import, when it is still in this state; it is nobody else's until the transaction's end."""
    query = select(Import).where(Import.id == import_id, Import.status == status)
    found = db.session.scalars(query.with_for_update()).one_or_none()
    if found:
        found.touched_at = clock.now()
    return found


def _slice(found: Import, after: int, upto: int) -> Slice:
    return Slice(found.id, found.owner_id, found.overwrites, after, upto)
