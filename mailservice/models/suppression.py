"""A suppression: an address that an owner may no longer mail, and why; outlives the client."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model, enum_type
from mailservice.models.user import User


class SuppressionReason(enum.StrEnum):
    UNSUBSCRIBED = "unsubscribed"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    BY_HAND = "by_hand"
    IMPORTED = "imported"


class LeavingReason(enum.StrEnum):
    """What a person who unsubscribed gave as the reason."""

    TOO_OFTEN = "too_often"
    NOT_RELEVANT = "not_relevant"
    NEVER_ASKED = "never_asked"
    OTHER = "other"


class Suppression(Model):
    """`detail` has the mail server's words or the owner's note; `leaving` and `said` those of the person who left.

    `before` is the reason that was there when the person unsubscribed: it comes back with him.
    """

    __tablename__ = "suppressions"
    __table_args__ = (
        UniqueConstraint("owner_id", "email_normalised"),
        Index("ix_suppressions_owner_id_created_at", "owner_id", "created_at"),
    )

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email_normalised: Mapped[str] = mapped_column(String(320), index=True)
    reason: Mapped[SuppressionReason] = mapped_column(enum_type(SuppressionReason))
    before: Mapped[SuppressionReason | None] = mapped_column(enum_type(SuppressionReason, name="before"))
    detail: Mapped[str] = mapped_column(Text, default="")
    leaving: Mapped[LeavingReason | None] = mapped_column(enum_type(LeavingReason))
    said: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    owner: Mapped[User] = relationship(viewonly=True)
