"""What the link in a letter does: no more mail from this owner to this address, and the way back."""

from __future__ import annotations

from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.models import (
    Attempt,
    Client,
    Delivery,
    LeavingReason,
    Suppression,
    SuppressionReason,
    Turn,
    User,
)
from mailservice.sending import unsubscribe_token
from mailservice.services import consents, ids, texts

LONGEST_SAID = 1000


def read(token: str, *, secret_key: str) -> tuple[int, str] | None:
    """(owner_id, email_normalised) of a link that this installation made; None for any other."""
    found = unsubscribe_token.read(unsubscribe_token.key(secret_key), token)
    return found if found and ids.possible(found[0]) else None


def standing(owner_id: int, *, email_normalised: str) -> Suppression | None:
    """What stands on the owner's stop list about this address."""
    query = select(Suppression).where(
        Suppression.owner_id == owner_id, Suppression.email_normalised == email_normalised
    )
    return db.session.scalars(query).one_or_none()


def is_unsubscribed(owner_id: int, *, email_normalised: str) -> bool:
    row = standing(owner_id, email_normalised=email_normalised)
    return row is not None and row.reason is SuppressionReason.UNSUBSCRIBED


def unsubscribe(owner_id: int, *, email_normalised: str, address: str | None = None) -> None:
    """The address gets no more mail from this owner, nor one that its client has by now; twice is as good as once.

    A person's own word is stronger than any other reason; that one is kept for the way back.
    """
    if consents.lock(owner_id) is None:
        return  # a deleted owner mails nobody
    for each in _addresses(owner_id, email_normalised):
        _unsubscribe(owner_id, each, address, via=email_normalised if each != email_normalised else None)


def _addresses(owner_id: int, email_normalised: str) -> list[str]:
    """This address, and those that clients have by now who got letters there: merged with others, or moved."""
    attempts = select(Attempt.id).where(Attempt.owner_id == owner_id)
    moved = (
        select(Client.email_normalised)
        .join(Delivery, Delivery.client_id == Client.id)
        .where(Delivery.attempt_id.in_(attempts), Delivery.email_normalised == email_normalised)
        .where(Client.owner_id == owner_id, Client.email_normalised != email_normalised)
        .distinct()
    )
    return [email_normalised, *db.session.scalars(moved)]


def _unsubscribe(owner_id: int, email_normalised: str, address: str | None, *, via: str | None) -> None:
    row = standing(owner_id, email_normalised=email_normalised)
    if row is None:
        row = Suppression(owner_id=owner_id, email_normalised=email_normalised)
        db.session.add(row)
    elif row.reason is SuppressionReason.UNSUBSCRIBED:
        return
    row.before, row.reason = row.reason, SuppressionReason.UNSUBSCRIBED
    row.created_at = clock.now()
    consents.note(owner_id, email_normalised, Turn.UNSUBSCRIBED, address=address, via=via)


def say_why(
    owner_id: int, *, email_normalised: str, leaving: LeavingReason | None, said: str, address: str | None = None
) -> None:
    """The reason of who has unsubscribed, for the owner to read. Invalid beside “said” for what is no text."""
    said = texts.many_lines(said, field="said", longest=LONGEST_SAID).strip()
    if consents.lock(owner_id) is None:
        return
    row = standing(owner_id, email_normalised=email_normalised)
    if row is None or row.reason is not SuppressionReason.UNSUBSCRIBED or (row.leaving, row.said) == (leaving, said):
        return
    row.leaving, row.said = leaving, said
    why = leaving.value if leaving else None
    consents.note(owner_id, email_normalised, Turn.SAID_WHY, address=address, leaving=why, said=said)


def take_back(owner_id: int, *, email_normalised: str, address: str | None = None) -> None:
    """“This was a mistake”: undoes the unsubscribing and nothing else.

    Of the addresses that clients have by now, those that went with this one: who left by his own link has left.
    """
    if consents.lock(owner_id) is None:
        return
    for each in _addresses(owner_id, email_normalised):
        row = standing(owner_id, email_normalised=each)
        if row is None or row.reason is not SuppressionReason.UNSUBSCRIBED:
            continue
        if each == email_normalised or consents.left_via(owner_id, each) == email_normalised:
            lift(row)
            consents.note(owner_id, each, Turn.TOOK_BACK, address=address)


def lift(row: Suppression) -> None:
    """Undoes an unsubscribing, at the person's own word; the caller writes down whose turn it was."""
    if row.before:
        row.reason, row.before, row.leaving, row.said = row.before, None, None, ""
    else:
        db.session.delete(row)


def sender(owner_id: int) -> User | None:
    """Whose mail it is; None when he is gone."""
    return db.session.get(User, owner_id)
