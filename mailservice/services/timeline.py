"""What has been between an owner and one client: every letter with the server's reply, and every turn of consent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import String, and_, func, literal, select, text, union_all
from sqlalchemy import cast as as_type

from mailservice.database import db
from mailservice.models import Attempt, Client, Consent, Delivery, Mailing, Reason, Result
from mailservice.services.pages import Page, fetch

# Word for word the conditions of the partial indexes, which a bound value would not match.
_is_final = text("results.state <> 'deferred'")
_is_deferred = text("results.state = 'deferred'")


@dataclass(frozen=True)
class Line:
    """One delivery to the client: what became of it, and the server's words."""

    delivery_id: int
    attempt_id: int
    title: str
    at: datetime
    state: str
    reply: str | None
    reason: Reason | None


class Entry(NamedTuple):
    """One of the two, or neither: then the client was added."""

    at: datetime
    line: Line | None = None
    consent: Consent | None = None


def of(client: Client, *, number: int, size: int) -> Page[Entry]:
    """Newest first; at the end of it how the client came."""
    found = fetch(_moments(client), number=number, size=size, rows=True)
    lines = _lines(client, [row.id for row in found.items if row.kind == "delivery"])
    consents = _consents(client, [row.id for row in found.items if row.kind == "consent"])
    entries = [
        Entry(
            row.at,
            lines.get(row.id) if row.kind == "delivery" else None,
            consents.get(row.id) if row.kind == "consent" else None,
        )
        for row in found.items
    ]
    return Page(entries, found.number, found.size, found.total)


def _moments(client: Client) -> Any:
    """When something happened, and what: a letter's time is that of its last result."""
    final = and_(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final)
    at_last = func.coalesce(Result.tried_at, Attempt.due_at, type_=Result.tried_at.type).label("at")
    letters = (
        select(at_last, _kind("delivery"), Delivery.id.label("id"))
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .outerjoin(Result, final)
        .where(Delivery.client_id == client.id, Attempt.owner_id == client.owner_id)
    )
    turns = select(Consent.at, _kind("consent"), Consent.id.label("id")).where(
        Consent.owner_id == client.owner_id, Consent.email_normalised == client.email_normalised
    )
    added = select(Client.created_at.label("at"), _kind("added"), Client.id.label("id")).where(Client.id == client.id)
    moments = union_all(letters, turns, added).subquery()
    return select(moments).order_by(moments.c.at.desc(), moments.c.kind.desc(), moments.c.id.desc())


def _kind(name: str) -> Any:
    return as_type(literal(name), String).label("kind")


def _lines(client: Client, delivery_ids: list[int]) -> dict[int, Line]:
    rows = db.session.execute(
        select(Delivery.id, Attempt.id, Mailing.title, Attempt.due_at, Result)
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .join(Mailing, Mailing.id == Attempt.mailing_id)
        .outerjoin(Result, and_(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final))
        .where(Delivery.id.in_(delivery_ids), Attempt.owner_id == client.owner_id)
    ).all()
    put_off = _put_off(row[0] for row in rows if row[4] is None)
    return {row[0]: _line(*row[:4], row[4] or put_off.get(row[0])) for row in rows}


def _put_off(delivery_ids: Iterable[int]) -> dict[int, Result]:
    """The latest refusals of letters that wait for another try."""
    query = (
        select(Result)
        .join(Delivery, Delivery.id == Result.delivery_id)
        .where(Result.delivery_id.in_(list(delivery_ids)), Result.round == Delivery.round, _is_deferred)
        .order_by(Result.id)
    )
    return {result.delivery_id: result for result in db.session.scalars(query)}


def _line(delivery_id: int, attempt_id: int, title: str, due_at: datetime, result: Result | None) -> Line:
    return Line(
        delivery_id,
        attempt_id,
        title,
        at=result.tried_at if result else due_at,
        state=result.state.value if result else "waiting",
        reply=result.reply if result else None,
        reason=result.reason if result else None,
    )


def _consents(client: Client, ids: list[int]) -> dict[int, Consent]:
    query = select(Consent).where(Consent.id.in_(ids), Consent.owner_id == client.owner_id)
    return {consent.id: consent for consent in db.session.scalars(query)}
