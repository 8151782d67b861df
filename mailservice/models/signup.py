"""The sign-up form that an owner offers to everybody, and the requests that wait for their confirmation."""

import secrets
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import Key, Model
from mailservice.models.user import User


def new_form_key() -> str:
    return secrets.token_urlsafe(12)


class SignUpForm(Model):
    """One for each owner; `key` stands in its public address. `consent_text` is what people agree to."""

    __tablename__ = "sign_up_forms"

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), unique=True)
    key: Mapped[str] = mapped_column(String(32), unique=True, default=new_form_key)
    is_open: Mapped[bool] = mapped_column(default=False, server_default=false())
    title: Mapped[str] = mapped_column(String(200), default="")
    text: Mapped[str] = mapped_column(Text, default="")
    consent_text: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(8), default="ru")

    owner: Mapped[User] = relationship(viewonly=True)


class SignUp(Model):
    """Somebody typed this address into the form; whether it is his, the letter's link will tell. Then the row goes.

    `consent_text` is what the form said at that time.
    """

    __tablename__ = "sign_ups"
    __table_args__ = (
        UniqueConstraint("owner_id", "email_normalised"),
        {"sqlite_autoincrement": True},  # links in letters name it: an id is never given twice
    )

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(320))
    email_normalised: Mapped[str] = mapped_column(String(320))
    full_name: Mapped[str] = mapped_column(String(200), default="")
    consent_text: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(default=clock.now, index=True)
    address: Mapped[str | None] = mapped_column(String(64))
    browser: Mapped[str] = mapped_column(String(300), default="")

    owner: Mapped[User] = relationship(viewonly=True)
