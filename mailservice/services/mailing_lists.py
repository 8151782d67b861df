"""Mailings as lists show them: each with its phase, its next firing, its last attempt and how that went."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, case, func, literal, or_, select

from mailservice.database import db
from mailservice.models import Attempt, Mailing, Message, User, mailing_clients, mailing_filters
from mailservice.services import mailings, pages
from mailservice.services.counting import Counts, MoreThan, counts_of
from mailservice.services.mailings import Phase

MOST_COUNTED = 10_000  # clients of one mailing: a page of lists shows up to a hundred


class Order(enum.StrEnum):
    """Of a list."""

    NEXT = "next"  # what is being sent, then by the next firing
    TITLE = "title"
    NEWEST = "newest"


@dataclass(frozen=True)
class Line:
    """A mailing as a list shows it."""

    mailing: Mailing
    subject: str
    phase: Phase
    clients: int  # by list; counted no further than MOST_COUNTED
    filters: int  # saved filters that add to them
    last_attempt: Attempt | None
    counts: Counts | None


def search(
    owner: User,
    *,
    words: str = "",
    phase: Phase | None = None,
    order: Order = Order.NEXT,
    number: int = 1,
    size: int = 50,
) -> pages.Page[Line]:
    """Lines, unless told otherwise what needs attention soonest first: by next firing, then the newest."""
    query: Any = select(Mailing, Message.subject, mailings.phase_word).join(Message, Message.id == Mailing.message_id)
    query = query.where(Mailing.owner_id == owner.id)
    if words:
        query = query.where(pages.matches(words, Mailing.title, Message.subject))
    if phase:
        query = query.where(mailings.in_phase(phase))
    page = pages.fetch(query.order_by(*_ordered(order)), number=number, size=size, rows=True)
    return pages.Page(_lines(page.items), page.number, page.size, page.total)


def _ordered(order: Order) -> tuple[Any, ...]:
    if order is Order.TITLE:
        return func.lower(Mailing.title), Mailing.id.desc()
    if order is Order.NEWEST:
        return (Mailing.id.desc(),)
    sending_first = case((mailings.phase_word == Phase.SENDING.value, 0), else_=1)
    held = or_(Mailing.paused_at.is_not(None), Mailing.disabled_at.is_not(None))
    fires_at = case((held, None), else_=Mailing.next_at)  # a mailing that is held fires at no time
    return sending_first, fires_at.is_(None), fires_at, Mailing.id.desc()


def lines(found: Sequence[Mailing]) -> list[Line]:
    """These mailings, anybody's, as a list shows them."""
    phases = db.session.execute(
        select(Mailing.id, mailings.phase_word).where(Mailing.id.in_([mailing.id for mailing in found]))
    )
    words = {row[0]: row[1] for row in phases}
    return _lines([(mailing, mailing.message.subject, words[mailing.id]) for mailing in found])


def _lines(rows) -> list[Line]:
    ids = [mailing.id for mailing, _subject, _word in rows]
    clients, filtered = _sizes(mailing_clients, ids), _sizes(mailing_filters, ids)
    attempts = _last_attempts(ids)
    counts = counts_of(attempts.values())
    return [
        Line(
            mailing,
            subject,
            Phase(word),
            clients.get(mailing.id, 0),
            filtered.get(mailing.id, 0),
            attempt := attempts.get(mailing.id),
            counts[attempt.id] if attempt else None,
        )
        for mailing, subject, word in rows
    ]


def _sizes(pairs: Table, mailing_ids: list[int]) -> dict[int, int]:
    few = select(literal(1)).where(pairs.c.mailing_id == Mailing.id).correlate(Mailing).limit(MOST_COUNTED + 1)
    size = select(func.count()).select_from(few.subquery()).scalar_subquery()
    rows = db.session.execute(select(Mailing.id, size).where(Mailing.id.in_(mailing_ids)))
    return {row[0]: row[1] if row[1] <= MOST_COUNTED else MoreThan(MOST_COUNTED) for row in rows}


def _last_attempts(mailing_ids: list[int]) -> dict[int, Attempt]:
    """By mailing id: the attempt that was planned last, whatever its number."""
    latest = select(func.max(Attempt.id)).where(Attempt.mailing_id.in_(mailing_ids)).group_by(Attempt.mailing_id)
    return {a.mailing_id: a for a in db.session.scalars(select(Attempt).where(Attempt.id.in_(latest)))}
