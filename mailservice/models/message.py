"""A message: subject and body that a user wrote."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model
from mailservice.models.user import User


class Message(Model):
    """The body is Markdown; subject and body may hold merge fields (`{{ first_name }}`)."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("id", "owner_id"),)

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    subject: Mapped[str] = mapped_column(String(250))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    owner: Mapped[User] = relationship(viewonly=True)
