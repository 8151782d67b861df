"""An import: a file of clients, what is in it, and what became of it."""

import enum
from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import BigId, Key, Model, enum_type
from mailservice.models.user import User


class ImportStatus(enum.StrEnum):
    DRAFT = "draft"  # the columns are not chosen yet
    CHECKING = "checking"
    CHECKED = "checked"  # what would happen is known, nothing has
    RUNNING = "running"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "failed"  # the file could not be read; nothing has changed


class RowState(enum.StrEnum):
    """What a row of the file does, or did."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"  # of a row above it
    INVALID = "invalid"
    SUPPRESSED = "suppressed"


class FileKind(enum.StrEnum):
    TEXT = "text"
    WORKBOOK = "workbook"


class Import(Model):
    """How far it is: `position` octets and `number` records are checked, records up to `applied` are carried
    out, up to `undone` taken back. Whoever moves one of them does so in the transaction that does the work.

    `stored` names its files (services.importing.files); empty when they are gone.
    """

    __tablename__ = "imports"
    # Clients remember their import by id after it is gone: an id is never given twice.
    __table_args__ = (
        Index("ix_imports_owner_id_created_at", "owner_id", "created_at"),
        Index(
            "ix_imports_open",
            "touched_at",
            postgresql_where=text("status IN ('checking', 'running', 'undoing')"),
            sqlite_where=text("status IN ('checking', 'running', 'undoing')"),
        ),
        {"sqlite_autoincrement": True},
    )
    AT_WORK = (ImportStatus.CHECKING, ImportStatus.RUNNING, ImportStatus.UNDOING)

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    status: Mapped[ImportStatus] = mapped_column(enum_type(ImportStatus), default=ImportStatus.DRAFT)
    name: Mapped[str] = mapped_column(String(200))  # of the file as its owner calls it; empty for pasted text
    stored: Mapped[str] = mapped_column(String(80))
    kind: Mapped[FileKind] = mapped_column(enum_type(FileKind))
    encoding: Mapped[str] = mapped_column(String(20), default="")
    delimiter: Mapped[str] = mapped_column(String(1), default=",")
    has_header: Mapped[bool] = mapped_column(default=False)
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)  # the role of each, services.importing.columns
    overwrites: Mapped[bool] = mapped_column(default=False)
    size: Mapped[int] = mapped_column(BigId, default=0)
    start: Mapped[int] = mapped_column(BigId, default=0)  # octets before the first record
    position: Mapped[int] = mapped_column(BigId, default=0)
    number: Mapped[int] = mapped_column(default=0)
    applied: Mapped[int] = mapped_column(default=0)
    undone: Mapped[int] = mapped_column(default=0)
    new: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    unchanged: Mapped[int] = mapped_column(default=0)
    duplicate: Mapped[int] = mapped_column(default=0)
    invalid: Mapped[int] = mapped_column(default=0)
    suppressed: Mapped[int] = mapped_column(default=0)
    removed: Mapped[int] = mapped_column(default=0)  # by undoing
    restored: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    touched_at: Mapped[datetime] = mapped_column(default=clock.now)  # a sign of life, while it is at work
    finished_at: Mapped[datetime | None]

    owner: Mapped[User] = relationship(viewonly=True)

    @property
    def is_at_work(self) -> bool:
        return self.status in self.AT_WORK

    @property
    def rows(self) -> int:
        return self.new + self.changed + self.unchanged + self.rejected

    @property
    def rejected(self) -> int:
        return self.duplicate + self.invalid + self.suppressed


class ImportRow(Model):
    """One record of the file, by its number there (from 1), and what it does. `email_normalised` is empty in one
    that is invalid; `old_…` is what a changed client had before. A trigger deletes the rows together with their import:
    a foreign key would ask of each of a million rows whether the import is there."""

    __tablename__ = "import_rows"

    import_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[RowState] = mapped_column(enum_type(RowState))
    reason: Mapped[str | None] = mapped_column(String(20))
    email: Mapped[str] = mapped_column(Text)
    email_normalised: Mapped[str | None] = mapped_column(String(320), index=True)
    full_name: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text)
    old_full_name: Mapped[str | None] = mapped_column(String(200))
    old_comment: Mapped[str | None] = mapped_column(Text)
