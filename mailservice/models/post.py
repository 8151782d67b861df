"""A post: a blog article."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model
from mailservice.models.user import User


class Post(Model):
    """Without `published_at` a draft; with one in the future hidden until then.

    `image` is the name that its files share (services.images), with the size of the largest of them.
    """

    __tablename__ = "posts"

    id: Mapped[Key]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(220), unique=True)
    language: Mapped[str] = mapped_column(String(8), default="ru", server_default="ru")
    body: Mapped[str] = mapped_column(Text)
    image: Mapped[str | None] = mapped_column(String(255))
    image_width: Mapped[int | None]
    image_height: Mapped[int | None]
    image_alt: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    views: Mapped[int] = mapped_column(default=0)
    published_at: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    author: Mapped[User | None] = relationship(viewonly=True)


class OldSlug(Model):
    """A slug that a post had before: links to it lead on, and no other post takes it."""

    __tablename__ = "post_old_slugs"

    slug: Mapped[str] = mapped_column(String(220), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"), index=True)
