"""An event: who did what to what, when and from where; appended, never changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, event
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import BigId, Key, Model
from mailservice.models.user import User


class Event(Model):
    """The database refuses every change, too, but for one: an actor who is deleted becomes nobody."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_subject", "subject_type", "subject_id"),)

    id: Mapped[Key]
    at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str | None] = mapped_column(String(30))
    subject_id: Mapped[int | None] = mapped_column(BigId)
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    address: Mapped[str | None] = mapped_column(String(64))  # the network address it came from

    actor: Mapped[User | None] = relationship(viewonly=True)


@event.listens_for(Event, "before_update")
@event.listens_for(Event, "before_delete")
def _refuse(*_: object) -> None:
    raise RuntimeError("an event is appended, never changed")
