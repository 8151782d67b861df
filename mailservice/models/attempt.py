"""An attempt: one run of a mailing at one occurrence."""

import enum
import secrets
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import BigId, Key, Model, enum_type
from mailservice.models.mailing import Mailing
from mailservice.models.message import MessageKind


class AttemptStatus(enum.StrEnum):
    PLANNED = "planned"
    PREPARING = "preparing"
    SENDING = "sending"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    SKIPPED = "skipped"


class Reason(enum.StrEnum):
    """Why an attempt was skipped or stopped, or a delivery was not made."""

    MISSED = "missed"  # its moment passed while the service was away or the mailing paused
    OVERLAP = "overlap"  # the attempt before was still running
    PAUSED = "paused"
    EMPTY = "empty"  # no clients
    ENDED = "ended"  # the mailing's end was reached
    STALE = "stale"  # a day without any progress
    DISABLED = "disabled"  # by a manager
    BLOCKED = "blocked"  # the owner is blocked
    UNCONFIRMED = "unconfirmed"  # the owner's address is not confirmed
    BY_OWNER = "by_owner"
    REFUSED = "refused"  # the mail server refuses the letters one after another
    SENDER_REFUSED = "sender_refused"
    TOO_BIG = "too_big"
    BAD_MESSAGE = "bad_message"  # the letters cannot be built
    SUPPRESSED = "suppressed"
    CLIENT_DELETED = "client_deleted"


class Attempt(Model):
    """What it sends is frozen when it is prepared; the counts are final once it is closed.

    While it is open, its counts are the sums over its batches. `deadline_at` moves on with every bit of
    progress: a restored backup or a day of silence must not send old mail.
    """

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("mailing_id", "occurrence"),
        Index(
            "uq_attempts_open",
            "mailing_id",
            unique=True,
            postgresql_where=text("status IN ('planned', 'preparing', 'sending')"),
            sqlite_where=text("status IN ('planned', 'preparing', 'sending')"),
        ),
        Index("ix_attempts_owner_id_due_at", "owner_id", "due_at"),
    )

    OPEN: ClassVar = (AttemptStatus.PLANNED, AttemptStatus.PREPARING, AttemptStatus.SENDING)

    id: Mapped[Key]
    mailing_id: Mapped[int] = mapped_column(ForeignKey("mailings.id", ondelete="CASCADE"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    occurrence: Mapped[int]
    due_at: Mapped[datetime]
    status: Mapped[AttemptStatus] = mapped_column(enum_type(AttemptStatus), default=AttemptStatus.PLANNED)
    reason: Mapped[Reason | None] = mapped_column(enum_type(Reason))
    succeeded: Mapped[bool | None]
    server_reply: Mapped[str | None] = mapped_column(Text)
    planned_at: Mapped[datetime] = mapped_column(default=clock.now)
    began_at: Mapped[datetime | None]
    last_tried_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline_at: Mapped[datetime | None]
    # Frozen content; `key` makes the Message-ID of each delivery hard to guess and stable.
    key: Mapped[str] = mapped_column(String(32), default=lambda: secrets.token_hex(8))
    sender: Mapped[str | None] = mapped_column(String(500))
    subject: Mapped[str | None] = mapped_column(String(250))
    body: Mapped[str | None] = mapped_column(Text)
    # Conditions of the mailing's saved filters as they were when the preparation began.
    filters: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    kind: Mapped[MessageKind] = mapped_column(
        enum_type(MessageKind), default=MessageKind.MARKDOWN, server_default=MessageKind.MARKDOWN.value
    )
    preheader: Mapped[str] = mapped_column(String(250), default="", server_default=text("''"))
    prepared_to: Mapped[int] = mapped_column(BigId, default=0)  # the last client id copied into deliveries
    audience: Mapped[int] = mapped_column(default=0)
    sent: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)

    mailing: Mapped[Mailing] = relationship(viewonly=True)

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN
