"""An image: a picture that a user uploaded for his messages."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from mailservice import clock
from mailservice.database import Key, Model


class Image(Model):
    """`filename` is its file's, and nobody guesses it; `title` is what the user's own file was called."""

    __tablename__ = "images"
    __table_args__ = (Index("ix_images_owner_id_id", "owner_id", "id"),)

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    filename: Mapped[str] = mapped_column(String(40), unique=True)
    title: Mapped[str] = mapped_column(String(200))
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)  # octets
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
