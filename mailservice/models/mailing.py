"""A mailing: which message goes to which clients, when, how often, until when."""

import enum
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import BigId, Key, Model, enum_type
from mailservice.models.message import Message
from mailservice.models.user import User


class Periodicity(enum.StrEnum):
    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class MailingStatus(enum.StrEnum):
    CREATED = "created"
    RUNNING = "running"
    FINISHED = "finished"


# The owner stands in the key of each side, so that a mailing cannot hold another user's client.
mailing_clients = Table(
    "mailing_clients",
    Model.metadata,
    Column("mailing_id", BigId, primary_key=True),
    Column("client_id", BigId, primary_key=True),
    Column("owner_id", BigId, nullable=False),
    ForeignKeyConstraint(
        ["mailing_id", "owner_id"],
        ["mailings.id", "mailings.owner_id"],
        ondelete="CASCADE",
        name="fk_mailing",
    ),
    ForeignKeyConstraint(
        ["client_id", "owner_id"], ["clients.id", "clients.owner_id"], ondelete="CASCADE", name="fk_client"
    ),
    Index("ix_mailing_clients_client_id", "client_id"),
)


class Mailing(Model):
    """The schedule is kept as people say it: local start, local end, IANA zone.

    `next_occurrence` and `next_at` (UTC) name the firing that the planner waits for, both empty when there
    is none. `first_occurrence` is the number of the first firing of the schedule in force: a changed
    schedule counts on from the old one, so that (mailing, occurrence) stays unique.

    A draft has no next firing: its owner has not started it yet. Until `not_before` no attempt begins, and what
    its owner did last can be undone; `was_draft` says to what. `doubled` and `unknown` count the pasted addresses
    that were left out of its clients: pasted twice, or no client's.
    """

    __tablename__ = "mailings"
    __table_args__ = (
        UniqueConstraint("id", "owner_id"),
        ForeignKeyConstraint(["message_id", "owner_id"], ["messages.id", "messages.owner_id"], name="fk_message"),
        CheckConstraint("end_local IS NULL OR end_local > start_local", name="end_after_start"),
        CheckConstraint("(next_at IS NULL) = (next_occurrence IS NULL)", name="next_is_whole"),
        Index("ix_mailings_due", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_mailings_message_id", "message_id"),
        Index("ix_mailings_owner_id_status", "owner_id", "status"),
    )

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    message_id: Mapped[int] = mapped_column(BigId)
    start_local: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    end_local: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    time_zone: Mapped[str] = mapped_column(String(64))
    periodicity: Mapped[Periodicity] = mapped_column(enum_type(Periodicity))
    status: Mapped[MailingStatus] = mapped_column(enum_type(MailingStatus), default=MailingStatus.CREATED)
    first_occurrence: Mapped[int] = mapped_column(default=0)
    next_occurrence: Mapped[int | None]
    next_at: Mapped[datetime | None]
    is_draft: Mapped[bool] = mapped_column(default=False, server_default=false())
    not_before: Mapped[datetime | None]
    was_draft: Mapped[bool] = mapped_column(default=False, server_default=false())
    doubled: Mapped[int] = mapped_column(default=0, server_default="0")
    unknown: Mapped[int] = mapped_column(default=0, server_default="0")
    paused_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    disabled_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    disabled_reason: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    message: Mapped[Message] = relationship(
        viewonly=True, primaryjoin="Mailing.message_id == Message.id", foreign_keys="Mailing.message_id"
    )
    owner: Mapped[User] = relationship(viewonly=True, foreign_keys=owner_id)
