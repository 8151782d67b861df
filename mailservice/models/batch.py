"""A batch: up to 500 deliveries of one attempt, the unit that one sender takes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from mailservice.database import BigId, Model

SIZE = 500  # deliveries


class Batch(Model):
    """`fence` rises with every claim: who holds an older one may write nothing more.

    `evicted` says that the holder's lease ran out and its fence was taken, though it may still be alive:
    the batch is judged when the lease has run out once more, since by then it begins nothing on its own
    clock either.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("waiting + sent + failed + unknown + skipped + cancelled = size", name="adds_up"),
        Index(
            "ix_batches_waiting",
            "attempt_id",
            "not_before",
            postgresql_where=text("waiting > 0"),
            sqlite_where=text("waiting > 0"),
        ),
    )

    attempt_id: Mapped[int] = mapped_column(BigId, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int]
    waiting: Mapped[int]
    sent: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    unknown: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")
    fence: Mapped[int] = mapped_column(server_default="0")
    holder: Mapped[str | None] = mapped_column(String(120))
    lease_until: Mapped[datetime | None]
    evicted: Mapped[bool] = mapped_column(server_default=false())
    not_before: Mapped[datetime | None]
