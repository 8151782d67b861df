"""A throttle: what all senders share about how fast one mail server may be used."""

from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from mailservice.database import Model


class Throttle(Model):
    """One document, read and written whole. `name` is the server's host:port, with “ hour” behind it for its hour."""

    __tablename__ = "throttles"

    name: Mapped[str] = mapped_column(String(320), primary_key=True)
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
