"""A message: subject and body that a user wrote."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model, enum_type
from mailservice.models.user import User


class MessageKind(enum.StrEnum):
    """What the body is written in."""

    MARKDOWN = "markdown"
    HTML = "html"
    PLAIN = "plain"


class Message(Model):
    """Subject, preheader (what a list of letters shows beside the subject) and body may hold merge fields."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("id", "owner_id"),)

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    kind: Mapped[MessageKind] = mapped_column(
        enum_type(MessageKind), default=MessageKind.MARKDOWN, server_default=MessageKind.MARKDOWN.value
    )
    subject: Mapped[str] = mapped_column(String(250))
    preheader: Mapped[str] = mapped_column(String(250), default="", server_default=text("''"))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    owner: Mapped[User] = relationship(viewonly=True)
