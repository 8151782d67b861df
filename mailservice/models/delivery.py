"""A delivery: one client's copy within one attempt."""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mailservice.database import BigId, Key, Model
from mailservice.models.attempt import Attempt


class Delivery(Model):
    """Address and name as they were when the attempt was prepared; written once.

    Only `round` ever changes: a person's "send again" opens the next one. `client_id` is a memory, not a
    reference: the client may be gone.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("attempt_id", "email_normalised"),
        ForeignKeyConstraint(
            ["attempt_id", "batch"],
            ["batches.attempt_id", "batches.number"],
            ondelete="CASCADE",
            name="fk_batch",
        ),
        Index("ix_deliveries_attempt_id_batch", "attempt_id", "batch"),
        Index("ix_deliveries_client_id", "client_id"),
    )

    id: Mapped[Key]
    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id", ondelete="CASCADE"))
    batch: Mapped[int]
    client_id: Mapped[int] = mapped_column(BigId)
    email: Mapped[str] = mapped_column(String(320))
    email_normalised: Mapped[str] = mapped_column(String(320))
    full_name: Mapped[str] = mapped_column(String(200))
    comment: Mapped[str] = mapped_column(Text)
    round: Mapped[int] = mapped_column(server_default="1")

    attempt: Mapped[Attempt] = relationship(viewonly=True)
