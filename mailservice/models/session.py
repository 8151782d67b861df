"""A session: one sign-in of one user in one browser, from signing in to signing out."""

import secrets
from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model
from mailservice.models.user import User


def new_key() -> str:
    return secrets.token_urlsafe(24)


class UserSession(Model):
    """`key` is what the browser's cookie holds: without this row the cookie opens nothing.

    `user_key` is the user's `session_key` at sign-in: replacing that one ends all sessions of the user at once.
    """

    __tablename__ = "sessions"

    id: Mapped[Key]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(64), unique=True, default=new_key)
    user_key: Mapped[str] = mapped_column(String(64))
    remembered: Mapped[bool] = mapped_column(default=False)  # outlives the closing of the browser
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    last_seen_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
    browser: Mapped[str] = mapped_column(String(300), default="")  # as it names itself
    address: Mapped[str | None] = mapped_column(String(64))  # the network address it signed in from

    user: Mapped[User] = relationship(viewonly=True)
