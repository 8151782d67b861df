"""A user: signs in and owns things."""

import enum
import secrets
from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column

from mailservice import clock
from mailservice.database import Key, Model, enum_type


class Role(enum.StrEnum):
    USER = "user"
    MANAGER = "manager"
    ADMIN = "admin"


def new_session_key() -> str:
    return secrets.token_urlsafe(24)


class User(UserMixin, Model):
    """`session_key` stands behind every session of the user: replacing it signs him out everywhere.

    `new_email` is the address he wants instead, until he has confirmed it by a letter.
    """

    __tablename__ = "users"
    # Links in old letters and events remember a user by id after he is gone: an id is never given twice.
    __table_args__ = {"sqlite_autoincrement": True}
    __eq__ = object.__eq__  # the mixin compares get_id(), and two browsers of one user have two of them
    __hash__ = object.__hash__

    browser_key = ""  # of the session that this request came with; no column

    id: Mapped[Key]
    email: Mapped[str] = mapped_column(String(320))
    email_normalised: Mapped[str] = mapped_column(String(320), unique=True)
    new_email: Mapped[str | None] = mapped_column(String(320))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_key: Mapped[str] = mapped_column(String(64), unique=True, default=new_session_key)
    full_name: Mapped[str] = mapped_column(String(200), default="")
    role: Mapped[Role] = mapped_column(enum_type(Role), default=Role.USER)
    is_editor: Mapped[bool] = mapped_column(default=False, server_default=false())  # writes the blog, whatever the role
    language: Mapped[str] = mapped_column(String(8), default="ru")
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/Moscow")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    confirmed_at: Mapped[datetime | None]
    blocked_at: Mapped[datetime | None]
    blocked_by_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    blocked_reason: Mapped[str | None] = mapped_column(String(500))

    @property
    def is_active(self) -> bool:
        """Flask-Login asks at every request: a blocked user's session ends at once."""
        return self.blocked_at is None

    @property
    def is_confirmed(self) -> bool:
        return self.confirmed_at is not None

    def get_id(self) -> str:
        """What Flask-Login keeps in the browser's cookie: the key of one session, no name of the user."""
        return self.browser_key
