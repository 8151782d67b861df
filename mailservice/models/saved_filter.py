"""A saved filter: conditions with a name, which mailings may use as their audience."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ForeignKey, ForeignKeyConstraint, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailservice import clock
from mailservice.database import BigId, Key, Model


class SavedFilter(Model):
    """`conditions` is what `sending.conditions` reads and writes; whom it means is asked anew each time."""

    __tablename__ = "saved_filters"
    __table_args__ = (UniqueConstraint("owner_id", "name_folded"), UniqueConstraint("id", "owner_id"))

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))
    name_folded: Mapped[str] = mapped_column(String(300))
    conditions: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)


# A filter that a mailing uses cannot be deleted: nobody would notice that its clients get no more mail.
mailing_filters = Table(
    "mailing_filters",
    Model.metadata,
    Column("mailing_id", BigId, primary_key=True),
    Column("filter_id", BigId, primary_key=True),
    Column("owner_id", BigId, nullable=False),
    ForeignKeyConstraint(
        ["mailing_id", "owner_id"], ["mailings.id", "mailings.owner_id"], ondelete="CASCADE", name="fk_mailing"
    ),
    ForeignKeyConstraint(["filter_id", "owner_id"], ["saved_filters.id", "saved_filters.owner_id"], name="fk_filter"),
    Index("ix_mailing_filters_filter_id", "filter_id"),
)
