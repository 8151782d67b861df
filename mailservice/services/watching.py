"""Mailings while they run: the stage, how fast it goes, how long it still takes, what the server said last."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, or_, select

from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Batch, Breaker, Mailing, Result, State, User
from mailservice.services import launching
from mailservice.services.counting import Counts, counts_of

LATEST = 5000  # results by which the speed is told
WINDOW = timedelta(seconds=60)
IDLE = timedelta(seconds=15)  # without a result: nothing is sent now
MOST = 8  # mailings that one page watches


class Stage(enum.StrEnum):
    """In the order in which a mailing comes through them; the last ones may come at any time."""

    HELD = "held"  # its owner may still undo the start
    DUE = "due"  # no attempt has been planned yet
    PLANNED = "planned"
    PREPARING = "preparing"
    QUEUED = "queued"  # no sender has it in hand
    SENDING = "sending"
    RETRYING = "retrying"  # the server asked for the rest to come later
    SERVER_AWAY = "server_away"
    PAUSED = "paused"
    STOPPING = "stopping"
    IDLE = "idle"  # nothing is under way


@dataclass(frozen=True)
class Watch:
    """`until`: when the stage is over, where that is known; `why`: the server's words, where it is the reason."""

    mailing: Mailing
    attempt: Attempt | None
    counts: Counts
    stage: Stage
    until: datetime | None = None
    why: str = ""
    rate: float | None = None  # letters per second

    @property
    def left(self) -> timedelta | None:
        """How long the letters that wait still take at this rate."""
        if not self.rate or self.stage is not Stage.SENDING:
            return None
        return timedelta(seconds=max(1.0, self.counts.waiting / self.rate))

    @property
    def is_live(self) -> bool:
        """Whether something may change by itself soon."""
        return self.stage is not Stage.IDLE


@dataclass(frozen=True)
class _Work:
    """Of one attempt's batches that wait: how many are held, how many are free and due, when the next one is."""

    held: int = 0
    due: int = 0
    next_at: datetime | None = None


def one(mailing: Mailing, *, servers: Sequence[str], now: datetime) -> Watch:
    """`servers`: the names of all mail servers, as the breakers know them."""
    query = select(Attempt).where(Attempt.mailing_id == mailing.id, Attempt.status.in_(Attempt.OPEN))
    attempt = db.session.scalars(query).one_or_none()
    return _watch([(mailing, attempt)], servers, now)[0]


def active(owner: User, *, servers: Sequence[str], now: datetime) -> list[Watch]:
    """Of the owner's mailings those with an open attempt, the latest first."""
    query = select(Mailing, Attempt).join(Attempt, Attempt.mailing_id == Mailing.id)
    query = query.where(Attempt.owner_id == owner.id, Attempt.status.in_(Attempt.OPEN))
    rows = db.session.execute(query.order_by(Attempt.due_at.desc(), Attempt.id.desc()).limit(MOST)).all()
    return _watch([(mailing, attempt) for mailing, attempt in rows], servers, now)


def _watch(pairs: Sequence[tuple[Mailing, Attempt | None]], servers: Sequence[str], now: datetime) -> list[Watch]:
    attempts = [attempt for _mailing, attempt in pairs if attempt]
    ids = [attempt.id for attempt in attempts]
    counts, work = counts_of(attempts), _work(ids, now)
    rates, away = _rates(ids, now), _servers_away(servers) if ids else None
    found = []
    for mailing, attempt in pairs:
        if attempt is None:
            found.append(_without_attempt(mailing, now))
            continue
        key = attempt.id
        stage, until, why = _stage(mailing, attempt, work.get(key, _Work()), away, now)
        rate = rates.get(key) if stage is Stage.SENDING else None
        found.append(Watch(mailing, attempt, counts[key], stage, until, why, rate))
    return found


def _without_attempt(mailing: Mailing, now: datetime) -> Watch:
    if launching.can_be_undone(mailing, now):
        return Watch(mailing, None, Counts(), Stage.HELD, mailing.not_before)
    is_free = mailing.paused_at is None and mailing.disabled_at is None
    is_due = mailing.next_at is not None and mailing.next_at <= now
    return Watch(mailing, None, Counts(), Stage.DUE if is_due and is_free else Stage.IDLE)


def _stage(
    mailing: Mailing, attempt: Attempt, work: _Work, away: Breaker | None, now: datetime
) -> tuple[Stage, datetime | None, str]:
    if attempt.reason or mailing.disabled_at:
        return Stage.STOPPING, None, ""
    if mailing.paused_at:
        return Stage.PAUSED, None, ""
    if attempt.status is AttemptStatus.PLANNED:
        return Stage.PLANNED, None, ""
    if attempt.status is AttemptStatus.PREPARING:
        return Stage.PREPARING, None, ""
    if away is not None:
        return Stage.SERVER_AWAY, away.retry_at, away.last_reply or ""
    if not work.held and not work.due and work.next_at:
        return Stage.RETRYING, work.next_at, ""
    began = attempt.last_tried_at or attempt.began_at
    if not work.held and work.due and (began is None or now - began > IDLE):
        return Stage.QUEUED, None, ""
    return Stage.SENDING, None, ""


def _work(attempt_ids: list[int], now: datetime) -> dict[int, _Work]:
    free = Batch.holder.is_(None) & or_(Batch.not_before.is_(None), Batch.not_before <= now)
    query = (
        select(
            Batch.attempt_id,
            func.count(Batch.holder),
            func.coalesce(func.sum(case((free, 1), else_=0)), 0),
            func.min(Batch.not_before),
        )
        .where(Batch.attempt_id.in_(attempt_ids), Batch.waiting > 0)
        .group_by(Batch.attempt_id)
    )
    return {row[0]: _Work(*row[1:]) for row in _rows(query, attempt_ids)}


def _rates(attempt_ids: list[int], now: datetime) -> dict[int, float]:
    """Letters per second by the latest results: their ids come in the order of time, and no other index is needed."""
    latest = select(Result.attempt_id, Result.state, Result.tried_at).order_by(Result.id.desc()).limit(LATEST)
    part = latest.subquery()
    query = (
        select(part.c.attempt_id, func.count(), func.min(part.c.tried_at), func.max(part.c.tried_at))
        .where(part.c.attempt_id.in_(attempt_ids), part.c.state != State.DEFERRED.value, part.c.tried_at > now - WINDOW)
        .group_by(part.c.attempt_id)
    )
    rates = {}
    for attempt_id, number, first, last in _rows(query, attempt_ids):
        seconds = (last - first).total_seconds()
        if now - last < IDLE and seconds > 0:
            rates[attempt_id] = (number - 1) / seconds
    return rates


def _servers_away(servers: Sequence[str]) -> Breaker | None:
    """The mail server that is looked at first again, when none of them takes letters."""
    query = select(Breaker).where(Breaker.name.in_(servers), Breaker.retry_at.is_not(None)).order_by(Breaker.retry_at)
    found = db.session.scalars(query).all()
    return found[0] if found and len(found) == len(servers) else None


def _rows(query: Any, attempt_ids: list[int]) -> Sequence[Any]:
    return db.session.execute(query).all() if attempt_ids else []
