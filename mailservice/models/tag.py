"""A tag: an owner's word for some of his clients."""

from datetime import datetime

from sqlalchemy import Column, ForeignKey, ForeignKeyConstraint, Index, String, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailservice import clock
from mailservice.database import BigId, Key, Model


class Tag(Model):
    """`name` is kept as given; `name_folded` is what uniqueness compares."""

    __tablename__ = "tags"
    __table_args__ = (UniqueConstraint("owner_id", "name_folded"), UniqueConstraint("id", "owner_id"))

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(60))
    name_folded: Mapped[str] = mapped_column(String(180))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


# The owner stands in the key of each side, so that no client can carry another user's tag.
client_tags = Table(
    "client_tags",
    Model.metadata,
    Column("client_id", BigId, primary_key=True),
    Column("tag_id", BigId, primary_key=True),
    Column("owner_id", BigId, nullable=False),
    ForeignKeyConstraint(
        ["client_id", "owner_id"], ["clients.id", "clients.owner_id"], ondelete="CASCADE", name="fk_client"
    ),
    ForeignKeyConstraint(["tag_id", "owner_id"], ["tags.id", "tags.owner_id"], ondelete="CASCADE", name="fk_tag"),
    Index("ix_client_tags_tag_id", "tag_id", "client_id"),
)
