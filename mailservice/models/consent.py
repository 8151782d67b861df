"""A consent: one turn in what an owner may send to an address, with its proof; appended, never changed."""

import enum
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, event
from sqlalchemy.orm import Mapped, mapped_column

from mailservice import clock
from mailservice.database import Key, Model, enum_type


class Turn(enum.StrEnum):
    CONFIRMED = "confirmed"  # signed up by the form, and confirmed by the letter
    RETURNED = "returned"  # the same, after unsubscribing
    ASKED_BACK = "asked_back"  # the same, where only the owner can lift what stands on the stop list
    UNSUBSCRIBED = "unsubscribed"
    SAID_WHY = "said_why"
    TOOK_BACK = "took_back"  # the unsubscribing was a mistake
    STOPPED = "stopped"  # the owner put the address on the stop list
    LIFTED = "lifted"  # the owner took it off


class Consent(Model):
    """Kept by address, so that it outlives the client; it goes with the owner.

    `detail`, by the turn: `text` (what was agreed to, as it was shown), `form`, `asked_at`, `asked_from`, `browser`;
    `leaving`, `said`; `via` (the address whose link it was, where that was another's); `note`, `was`. `address` is the
    network address that it came from.
    """

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_owner_id_email_normalised", "owner_id", "email_normalised"),)

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email_normalised: Mapped[str] = mapped_column(String(320))
    turn: Mapped[Turn] = mapped_column(enum_type(Turn))
    at: Mapped[datetime] = mapped_column(default=clock.now)
    address: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


@event.listens_for(Consent, "before_update")
@event.listens_for(Consent, "before_delete")
def _refuse(*_: object) -> None:
    raise RuntimeError("a consent is appended, never changed")
