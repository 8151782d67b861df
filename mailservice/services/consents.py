"""What became of the right to mail an address: the turns, written down as they happen."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Consent, Turn, User


def note(owner_id: int, email_normalised: str, turn: Turn, *, address: str | None = None, **detail: Any) -> None:
    """Adds a turn; the caller's transaction commits it together with what it tells of."""
    told = {name: value for name, value in detail.items() if value}
    db.session.add(
        Consent(owner_id=owner_id, email_normalised=email_normalised, turn=turn, address=address, detail=told)
    )


def lock(owner_id: int) -> User | None:
    """The owner, whose row is locked: two acts about one address come one after the other. None: he is gone."""
    return db.session.get(User, owner_id, with_for_update={"key_share": True})


def left_via(owner_id: int, email_normalised: str) -> str | None:
    """By whose link this address was unsubscribed the last time; None: by its own."""
    query = select(Consent.detail).where(
        Consent.owner_id == owner_id,
        Consent.email_normalised == email_normalised,
        Consent.turn == Turn.UNSUBSCRIBED,
    )
    detail = db.session.scalars(query.order_by(Consent.id.desc()).limit(1)).one_or_none()
    return detail.get("via") if detail else None


def proof(owner_id: int, email_normalised: str) -> Consent | None:
    """The latest confirmation by the form, if there is one."""
    query = select(Consent).where(
        Consent.owner_id == owner_id,
        Consent.email_normalised == email_normalised,
        Consent.turn.in_((Turn.CONFIRMED, Turn.RETURNED, Turn.ASKED_BACK)),
    )
    return db.session.scalars(query.order_by(Consent.id.desc()).limit(1)).one_or_none()
