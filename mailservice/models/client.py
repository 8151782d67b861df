"""A client: a person who receives mail."""

import enum
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice import clock
from mailservice.database import BigId, Key, Model, enum_type
from mailservice.models.user import User


class ClientSource(enum.StrEnum):
    """How a client came: by the owner's hand or file, or by his own through the sign-up form."""

    UNKNOWN = "unknown"  # before this was written down
    BY_HAND = "by_hand"
    IMPORT = "import"
    FORM = "form"


class Client(Model):
    """`email` is kept as given; `email_normalised` is what uniqueness and suppressions compare.

    `source_detail` names the file or the form that `source` speaks of.
    """

    __tablename__ = "clients"
    __table_args__ = (
        UniqueConstraint("owner_id", "email_normalised"),
        UniqueConstraint("id", "owner_id"),
        Index("ix_clients_owner_id_full_name", "owner_id", "full_name"),
        Index("ix_clients_owner_id_id", "owner_id", "id"),  # an owner's clients slice by slice
        # Deliveries remember a client by id after it is gone: an id is never given twice.
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Key]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(320))
    email_normalised: Mapped[str] = mapped_column(String(320), index=True)
    full_name: Mapped[str] = mapped_column(String(200), default="")
    comment: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[ClientSource] = mapped_column(
        enum_type(ClientSource), default=ClientSource.UNKNOWN, server_default=ClientSource.UNKNOWN.value
    )
    source_detail: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    import_id: Mapped[int | None] = mapped_column(BigId)  # that made it: a memory, the import may be gone
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)

    owner: Mapped[User] = relationship(viewonly=True)
