"""What matters to a user now: problems first, then what comes, then what has been."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import contains_eager

from mailservice import clock
from mailservice.database import db
from mailservice.models import Attempt, AttemptStatus, Breaker, Client, Mailing, Message, User
from mailservice.services import counting, mailings, recent, watching
from mailservice.services.mailings import Phase
from mailservice.services.recent import Period
from mailservice.services.watching import Watch

FIRINGS = ATTEMPTS = 6
RECENT = timedelta(days=7)


@dataclass(frozen=True)
class Board:
    breakers: Sequence[Breaker]  # mail servers that do not answer
    failed: Sequence[Attempt]  # of the last days
    disabled: Sequence[Mailing]  # by a manager
    phases: Mapping[Phase, int]  # how many mailings in each
    running: Sequence[Watch]  # mailings that are being sent
    sent: Mapping[Period, int]  # letters
    firings: Sequence[Mailing]
    attempts: Sequence[Attempt]
    counts: dict[int, counting.Counts]  # by attempt
    has_clients: bool
    has_messages: bool
    has_mailings: bool

    @property
    def is_new(self) -> bool:
        return not self.has_mailings


def of(owner: User, *, servers: Sequence[str]) -> Board:
    """`servers`: the names of the mail servers in use; of others it is no matter whether they answer."""
    now = clock.now()
    owned = [exists().where(model.owner_id == owner.id) for model in (Client, Message, Mailing)]
    has_clients, has_messages, has_mailings = tuple(db.session.execute(select(*owned)).one())
    attempts = _attempts(owner, ATTEMPTS, Attempt.status.not_in(Attempt.OPEN))
    failed = _attempts(owner, 5, *_is_trouble())
    return Board(
        breakers=_breakers(servers),
        failed=failed,
        disabled=_mailings(owner, Mailing.disabled_at.is_not(None)),
        phases=mailings.phases(owner),
        running=watching.active(owner, servers=servers, now=now),
        sent=recent.sent(owner, now),
        firings=_mailings(
            owner, Mailing.next_at.is_not(None), Mailing.paused_at.is_(None), Mailing.disabled_at.is_(None)
        ),
        attempts=attempts,
        counts=counting.counts_of({a.id: a for a in (*attempts, *failed)}.values()),
        has_clients=has_clients,
        has_messages=has_messages,
        has_mailings=has_mailings,
    )


def _breakers(servers: Sequence[str]) -> Sequence[Breaker]:
    query = select(Breaker).where(Breaker.name.in_(servers), Breaker.retry_at.is_not(None))
    return db.session.scalars(query.order_by(Breaker.name)).all()


def _is_trouble() -> tuple[ColumnElement[bool], ...]:
    """Closed lately with letters that did not arrive; an attempt skipped by rule is not trouble."""
    return (
        Attempt.due_at > clock.now() - RECENT,
        Attempt.succeeded.is_(False),
        Attempt.status.not_in((*Attempt.OPEN, AttemptStatus.SKIPPED)),
    )


def _attempts(owner: User, number: int, *conditions: ColumnElement[bool]) -> Sequence[Attempt]:
    query = select(Attempt).join(Attempt.mailing).options(contains_eager(Attempt.mailing))
    query = query.where(Attempt.owner_id == owner.id, *conditions)
    return db.session.scalars(query.order_by(Attempt.due_at.desc(), Attempt.id.desc()).limit(number)).all()


def _mailings(owner: User, *conditions: ColumnElement[bool]) -> Sequence[Mailing]:
    query = select(Mailing).where(Mailing.owner_id == owner.id, *conditions)
    return db.session.scalars(query.order_by(Mailing.next_at, Mailing.id).limit(FIRINGS)).all()
