"""Permission to send: asked when a batch is claimed and every second while it is sent."""

from __future__ import annotations

import enum
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, select

from mailservice import clock
from mailservice.models import Attempt, AttemptStatus, Mailing, Reason, User


class Verdict(enum.Enum):
    GO = "go"
    HOLD = "hold"  # paused: nothing starts, nothing is given up
    STOP = "stop"  # the rest is cancelled


class Permission(NamedTuple):
    verdict: Verdict
    reason: Reason | None = None


GONE = Permission(Verdict.STOP, None)  # closed by somebody else


def ask(connection: Connection, attempt_id: int, now: datetime) -> Permission:
    """Whether letters of this attempt may start now."""
    row = connection.execute(_question(), {"attempt": attempt_id}).one_or_none()
    if row is None or row.status not in Attempt.OPEN:
        return GONE
    return Permission(*_judge(row, now))


@cache
def _question() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Attempt.status,
            Attempt.reason,
            Attempt.deadline_at,
            Mailing.paused_at,
            Mailing.disabled_at,
            Mailing.end_local,
            Mailing.time_zone,
            User.blocked_at,
        )
        .join_from(Attempt, Mailing, Mailing.id == Attempt.mailing_id)
        .join(User, User.id == Attempt.owner_id)
        .where(Attempt.id == bindparam("attempt"))
    )


def _judge(row, now: datetime) -> tuple[Verdict, Reason | None]:
    if row.reason:
        return Verdict.STOP, row.reason
    if row.blocked_at:
        return Verdict.STOP, Reason.BLOCKED
    if row.disabled_at:
        return Verdict.STOP, Reason.DISABLED
    if row.end_local and now >= clock.to_utc(row.end_local, row.time_zone):
        return Verdict.STOP, Reason.ENDED
    if row.paused_at:
        return Verdict.HOLD, Reason.PAUSED
    if row.deadline_at and now >= row.deadline_at:
        return Verdict.STOP, Reason.STALE
    if row.status is not AttemptStatus.SENDING:
        return Verdict.HOLD, None
    return Verdict.GO, None
