"""What follows from results beside their rows: addresses that are mailed no more, an attempt that makes progress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mailservice.models import Attempt, State, Suppression, SuppressionReason
from mailservice.sending.batches import PATIENCE
from mailservice.sending.entries import Entry


def suppress(connection: Connection, attempt_id: int, entries: Iterable[Entry]) -> None:
    gone = sorted((entry for entry in entries if entry.suppress), key=lambda entry: entry.suppress or "")
    if not gone:
        return
    owner_id = connection.scalar(select(Attempt.owner_id).where(Attempt.id == attempt_id))
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Suppression).on_conflict_do_nothing()
    connection.execute(
        statement,
        [
            {
                "owner_id": owner_id,
                "email_normalised": entry.suppress,
                "reason": SuppressionReason.HARD_BOUNCE,
                "detail": entry.reply or "",
                "created_at": entry.tried_at,
            }
            for entry in gone
        ],
    )


def note_progress(connection: Connection, attempt_id: int, entries: Sequence[Entry], now: datetime) -> None:
    """The attempt's last time and reply: the last refusal or, while there is none, the last acceptance."""
    if all(e.state is State.SENT for e in entries):
        tried = entries[-1:]  # all alike: the last stands for them
    else:
        tried = [e for e in entries if e.state not in (State.SKIPPED, State.CANCELLED)]
    if not tried:
        return
    values: dict[str, Any] = {"last_tried_at": tried[-1].tried_at}
    refusals = [e.reply for e in tried if e.reply and e.state in (State.FAILED, State.DEFERRED)]
    accepted = [e.reply for e in tried if e.reply and e.state is State.SENT]
    if refusals:
        values["server_reply"] = refusals[-1]
    elif accepted:
        keep = and_(Attempt.server_reply.is_not(None), ~Attempt.server_reply.like("2%"))
        values["server_reply"] = case((keep, Attempt.server_reply), else_=accepted[-1])
    if accepted:
        values["deadline_at"] = now + PATIENCE
    connection.execute(update(Attempt).where(Attempt.id == attempt_id).values(**values))
