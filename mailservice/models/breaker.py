"""A breaker: what we know of one mail server's health, shared by all senders."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from mailservice.database import Model


class Breaker(Model):
    """Open while `retry_at` is set: letters wait until then, and one probe decides what follows."""

    __tablename__ = "breakers"

    name: Mapped[str] = mapped_column(String(300), primary_key=True)  # host:port
    failures: Mapped[int] = mapped_column(default=0)  # host troubles in a row
    opens: Mapped[int] = mapped_column(default=0)  # times it opened in a row; the wait doubles with each
    opened_at: Mapped[datetime | None]
    retry_at: Mapped[datetime | None]
    kind: Mapped[str | None] = mapped_column(String(20))  # of the last trouble: host, configuration, ambiguous
    last_reply: Mapped[str | None] = mapped_column(Text)
    last_trouble_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None]
