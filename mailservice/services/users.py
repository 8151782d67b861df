"""Users as those see them who run the service: made, given a role, blocked, let in again; each act leaves an event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Event, Role, User
from mailservice.models.user import new_session_key
from mailservice.services import accounts, texts

LONGEST_REASON = 500


def by_email(email: str, *, lock: bool = False) -> User:
    """The user with this address, however it is spelt, or NotFound."""
    user = accounts.find(email)
    if user is None:
        raise NotFound(_("There is no user with this address."))
    if lock:
        db.session.refresh(user, with_for_update=True)
    return user


def everyone() -> Sequence[User]:
    return db.session.scalars(select(User).order_by(User.id)).all()


def create(
    *,
    email: str,
    full_name: str,
    password_hash: str,
    role: Role,
    language: str,
    time_zone: str,
    by: User | None = None,
) -> User:
    """A user whose address counts as proven; Invalid beside “email” where there is one already."""
    registration = accounts.register(
        email=email, full_name=full_name, password_hash=password_hash, language=language, time_zone=time_zone
    )
    if not registration.is_new:
        raise Invalid(_("There is a user with this address already."), field="email")
    user = registration.user
    user.role = role
    user.confirmed_at = clock.now()
    _note(user, "user.create", by, role=role.value)
    return user


def set_role(user: User, *, role: Role, by: User | None = None) -> User:
    """Signs the user out everywhere: what a session was allowed, it may not be allowed any more."""
    if user.role is not role:
        _note(user, "user.set_role", by, **{"from": user.role.value, "to": role.value})
        user.role = role
        user.session_key = new_session_key()
    return user


def block(user: User, *, reason: str, by: User | None = None) -> User:
    """From now on the user may not sign in, and no letter of his mailings starts (within a second)."""
    reason = texts.required(texts.one_line(reason, field="reason", longest=LONGEST_REASON), field="reason")
    if user.blocked_at:
        raise Refused(_("This user is blocked already."))
    user.blocked_at = clock.now()
    user.blocked_by_id = by.id if by else None
    user.blocked_reason = reason
    user.session_key = new_session_key()
    _note(user, "user.block", by, reason=reason)
    return user


def unblock(user: User, *, by: User | None = None) -> User:
    """The user signs in anew. Asked for somebody who is not blocked, it changes nothing."""
    if user.blocked_at:
        _note(user, "user.unblock", by, reason=user.blocked_reason)
        user.blocked_at = user.blocked_by_id = user.blocked_reason = None
        user.session_key = new_session_key()
    return user


def make_editor(user: User, *, is_editor: bool = True, by: User | None = None) -> User:
    """Gives or takes the right to write the blog; it holds from the next page on."""
    if by is not None and by.role is not Role.ADMIN:
        raise Refused(_("Only administrators give this right."))
    if user.is_editor is not is_editor:
        user.is_editor = is_editor
        _note(user, "user.make_editor", by, is_editor=is_editor)
    return user


def _note(user: User, action: str, by: User | None, **detail: Any) -> None:
    """Without `by` it was done on the command line."""
    event = Event(action=action, subject_type="user", subject_id=user.id, detail=detail, actor_id=by.id if by else None)
    db.session.add(event)
