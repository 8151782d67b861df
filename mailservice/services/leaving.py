"""Leaving: a user deletes his account with everything that is his. Blog posts stay, without an author."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import delete, func, select

from mailservice.database import db
from mailservice.errors import Refused
from mailservice.models import Attempt, Client, Mailing, Message, Post, Role, User
from mailservice.services import accounts, audit
from mailservice.services.audit import Action


@dataclass(frozen=True)
class Belongings:
    """How much goes with the user, and how many posts stay."""

    clients: int
    messages: int
    mailings: int
    posts: int


def belongings(user: User) -> Belongings:
    counts = [
        select(func.count()).where(owner == user.id).scalar_subquery()
        for owner in (Client.owner_id, Message.owner_id, Mailing.owner_id, Post.author_id)
    ]
    return Belongings(*db.session.execute(select(*counts)).one())


def delete_account(user: User, *, proof: str, address: str | None) -> None:
    """Everything of his is gone at once, the stop list too; his events stay, without his name.

    Refused while one of his mailings is being sent, and to the only administrator. `proof` is what
    `accounts.check_password` returned.
    """
    # The mailings first, as the planner does: then nothing of his begins while he leaves.
    db.session.execute(select(Mailing.id).where(Mailing.owner_id == user.id).order_by(Mailing.id).with_for_update())
    accounts.still_proven(user, proof)
    if _is_sending(user):
        raise Refused(_("A mailing of yours is being sent. Wait until it is through or stop it first."))
    if user.role is Role.ADMIN and not _has_another_admin(user):
        raise Refused(_("You are the only administrator: make somebody else one first."))
    audit.note(user, Action.ACCOUNT_DELETED, subject=user, address=address, role=user.role.value)
    db.session.flush()
    db.session.execute(delete(User).where(User.id == user.id))


def _is_sending(user: User) -> bool:
    query = select(Attempt.id).where(Attempt.owner_id == user.id, Attempt.status.in_(Attempt.OPEN))
    return db.session.scalar(query.limit(1)) is not None


def _has_another_admin(user: User) -> bool:
    """Administrators are locked, so that two of them cannot leave at the same moment."""
    query = select(User).where(User.role == Role.ADMIN).order_by(User.id).with_for_update(key_share=True)
    return any(other.id != user.id and other.is_active for other in db.session.scalars(query))
