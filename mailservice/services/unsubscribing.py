"""What the link in a letter does: no more mail from this owner to this address, and the way back."""

from __future__ import annotations

from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Suppression, SuppressionReason, User
from mailservice.sending import unsubscribe_token
from mailservice.services import ids


def read(token: str, *, secret_key: str) -> tuple[int, str] | None:
    """(owner_id, email_normalised) of a link that this installation made; None for any other."""
    found = unsubscribe_token.read(unsubscribe_token.key(secret_key), token)
    return found if found and ids.possible(found[0]) else None


def is_unsubscribed(owner_id: int, *, email_normalised: str) -> bool:
    row = _row(owner_id, email_normalised)
    return row is not None and row.reason is SuppressionReason.UNSUBSCRIBED


def unsubscribe(owner_id: int, *, email_normalised: str) -> None:
    """The address gets no more mail from this owner; asked twice, it changes nothing.

    A person's own word is stronger than any other reason; that one is kept in `detail` for the way back.
    """
    # The owner's row is locked, so that two clicks at once become one row after the other.
    if db.session.get(User, owner_id, with_for_update={"key_share": True}) is None:
        return  # a deleted owner mails nobody
    row = _row(owner_id, email_normalised)
    if row is None:
        reason = SuppressionReason.UNSUBSCRIBED
        db.session.add(Suppression(owner_id=owner_id, email_normalised=email_normalised, reason=reason))
    elif row.reason is not SuppressionReason.UNSUBSCRIBED:
        row.detail = row.reason.value
        row.reason = SuppressionReason.UNSUBSCRIBED


def take_back(owner_id: int, *, email_normalised: str) -> None:
    """“This was a mistake”: undoes the unsubscribing and nothing else."""
    row = _row(owner_id, email_normalised)
    if row is None or row.reason is not SuppressionReason.UNSUBSCRIBED:
        return
    if row.detail in set(SuppressionReason):
        row.reason, row.detail = SuppressionReason(row.detail), ""
    else:
        db.session.delete(row)


def sender_name(owner_id: int) -> str:
    """Whose mail it is, as the letters name him; empty where there is no such owner or no name."""
    return db.session.scalar(select(User.full_name).where(User.id == owner_id)) or ""


def _row(owner_id: int, email_normalised: str) -> Suppression | None:
    query = select(Suppression).where(
        Suppression.owner_id == owner_id, Suppression.email_normalised == email_normalised
    )
    return db.session.scalars(query).one_or_none()
