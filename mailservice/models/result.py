"""A result: what became of one try at one delivery; appended, never changed."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from mailservice.database import BigId, Key, Model, enum_type
from mailservice.models.attempt import Reason


class State(enum.StrEnum):
    """Of a result; all but `deferred` are final. A delivery without a final result is `waiting`."""

    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


FINAL = tuple(s for s in State if s is not State.DEFERRED)


class Result(Model):
    """`reply` has the server's words, `reason` ours; `not_before`: when a deferred letter is due again."""

    __tablename__ = "results"
    __table_args__ = (
        Index(
            "uq_results_final",
            "delivery_id",
            "round",
            unique=True,
            postgresql_where=text("state <> 'deferred'"),
            sqlite_where=text("state <> 'deferred'"),
        ),
        # Of all results: without it, deleting a delivery reads the whole table.
        Index("ix_results_delivery_id", "delivery_id"),
        Index(
            "ix_results_trouble",
            "attempt_id",
            "state",
            postgresql_where=text("state <> 'sent'"),
            sqlite_where=text("state <> 'sent'"),
        ),
    )

    id: Mapped[Key]
    delivery_id: Mapped[int] = mapped_column(BigId, ForeignKey("deliveries.id", ondelete="CASCADE"))
    attempt_id: Mapped[int] = mapped_column(BigId)
    round: Mapped[int]
    state: Mapped[State] = mapped_column(enum_type(State))
    reason: Mapped[Reason | None] = mapped_column(enum_type(Reason))
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(String(16))
    reply: Mapped[str | None] = mapped_column(Text)
    tried_at: Mapped[datetime]
    not_before: Mapped[datetime | None]
