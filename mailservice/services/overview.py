"""What the managers' desk shows beside its lists: how the service does, what a user has, who did what to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from mailservice.database import Model, db
from mailservice.models import Attempt, Breaker, Client, Event, Mailing, Message, User
from mailservice.services import mailings, reports
from mailservice.services.mailings import Phase
from mailservice.services.reports import AttemptLine

LATEST = 8  # rows of what a page shows only the beginning of


@dataclass(frozen=True)
class EventLine:
    """`subject` names what it was done to, as far as that is still there; empty otherwise."""

    event: Event
    subject: str


@dataclass(frozen=True)
class Board:
    users: int
    blocked: int
    phases: dict[Phase, int]  # mailings of everybody
    open_attempts: Sequence[AttemptLine]
    breakers: Sequence[Breaker]
    events: Sequence[EventLine]


@dataclass(frozen=True)
class Holdings:
    """How many of each a user has."""

    clients: int
    messages: int
    mailings: int
    attempts: int


def board() -> Board:
    people = db.session.execute(select(func.count(), func.count(User.blocked_at)).select_from(User)).one()
    still_open = select(Attempt).where(Attempt.status.in_(Attempt.OPEN)).order_by(Attempt.id.desc()).limit(LATEST)
    return Board(
        users=people[0],
        blocked=people[1],
        phases=mailings.phases(),
        open_attempts=attempt_lines(still_open),
        breakers=db.session.scalars(select(Breaker).order_by(Breaker.name)).all(),
        events=event_lines(_events(select(Event))),
    )


def holdings(user: User) -> Holdings:
    counts = (
        select(func.count()).where(kind.owner_id == user.id).scalar_subquery()
        for kind in (Client, Message, Mailing, Attempt)
    )
    return Holdings(*db.session.execute(select(*counts)).one())


def attempts_of(mailing: Mailing) -> list[AttemptLine]:
    """The latest ones."""
    query = select(Attempt).where(Attempt.mailing_id == mailing.id)
    return attempt_lines(query.order_by(Attempt.due_at.desc(), Attempt.id.desc()).limit(LATEST))


def attempt_lines(query: Any) -> list[AttemptLine]:
    rows = db.session.scalars(query.options(joinedload(Attempt.mailing))).all()
    return reports.attempt_lines([(attempt, attempt.mailing) for attempt in rows])


def events_about(row: Model) -> list[EventLine]:
    """The latest things done to a user or a mailing."""
    kind = type(row).__name__.lower()
    about = select(Event).where(Event.subject_type == kind, Event.subject_id == getattr(row, "id", None))
    return event_lines(_events(about))


def event_lines(events: Sequence[Event]) -> list[EventLine]:
    """Each with the name of its subject, in one question for each kind of subject."""
    names = _names("user", User.email, events) | _names("mailing", Mailing.title, events)
    return [EventLine(event, names.get((event.subject_type, event.subject_id), "")) for event in events]


def _events(query: Any) -> Sequence[Event]:
    query = query.options(joinedload(Event.actor)).order_by(Event.id.desc()).limit(LATEST)
    return db.session.scalars(query).all()


def _names(kind: str, name: Any, events: Sequence[Event]) -> dict[tuple[str | None, int | None], str]:
    ids = {event.subject_id for event in events if event.subject_type == kind}
    if not ids:
        return {}
    rows = db.session.execute(select(name.class_.id, name).where(name.class_.id.in_(ids)))
    return {(kind, row[0]): row[1] for row in rows}
