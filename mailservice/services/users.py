"""Users as those see them who run the service: made, given a role, blocked, let in again; each act leaves an event.

`by` is who acts, `address` the network address he acts from; without `by` it is the command line.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Attempt, Mailing, Reason, Role, User
from mailservice.models.user import new_session_key
from mailservice.services import access, accounts, addresses, audit, ids, oversight, texts
from mailservice.services.audit import Action


def by_id(user_id: int) -> User:
    """The user with this number, or NotFound."""
    user = db.session.get(User, user_id) if ids.possible(user_id) else None
    if user is None:
        raise NotFound(_("There is no such user."))
    return user


def by_email(email: str) -> User:
    """The user with this address, however it is spelt, or NotFound."""
    user = accounts.find(email)
    if user is None:
        raise NotFound(_("There is no user with this address."))
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
) -> User:
    """A user whose address counts as proven; Invalid beside “email” where there is one already."""
    found = addresses.parse(email)
    if accounts.find(email):
        raise Invalid(_("There is a user with this address already."), field="email")
    user = User(
        email=found.given,
        email_normalised=found.normalised,
        full_name=texts.one_line(full_name, field="full_name", longest=accounts.LONGEST_NAME),
        password_hash=password_hash,
        role=role,
        language=language,
        time_zone=time_zone,
        confirmed_at=clock.now(),
    )
    db.session.add(user)
    audit.note(None, Action.USER_CREATED, subject=user, role=role.value)
    return user


def set_role(user: User, *, role: Role, by: User | None = None, address: str | None = None) -> User:
    """Signs the user out everywhere: what a session was allowed, it may not be allowed any more."""
    admins = _locked(user, by)
    if not access.may_change_role(by):
        raise Refused(_("Only administrators change roles."))
    if by is not None and user.role is Role.ADMIN and role is not Role.ADMIN and admins == [user.id]:
        raise Refused(_("You are the only administrator: make somebody else one first."))
    if user.role is not role:
        audit.note(by, Action.ROLE_CHANGED, subject=user, address=address, before=user.role.value, after=role.value)
        user.role = role
        user.session_key = new_session_key()
    return user


def block(user: User, *, reason: str, by: User | None = None, address: str | None = None) -> User:
    """He may not sign in any more, what he is signed in to ends, and no letter of his starts (within a second)."""
    reason = texts.required(oversight.checked_reason(reason), field="reason")
    _locked(user, by)
    _check_blocking(user, by)
    if user.blocked_at:
        raise Refused(_("This user is blocked already."))
    oversight.end_attempts(Attempt.owner_id == user.id, reason=Reason.BLOCKED)
    user.blocked_at = clock.now()
    user.blocked_by_id = by.id if by else None
    user.blocked_reason = reason
    user.session_key = new_session_key()
    audit.note(by, Action.BLOCKED, subject=user, address=address, reason=reason)
    return user


def unblock(user: User, *, reason: str = "", by: User | None = None, address: str | None = None) -> User:
    """He signs in anew, and his mailings go on with their next times: what passed meanwhile is not made up for.

    Asked for somebody who is not blocked, it changes nothing.
    """
    reason = oversight.checked_reason(reason)
    _locked(user, by)
    _check_blocking(user, by)
    if user.blocked_at:
        oversight.skip_missed(Mailing.owner_id == user.id, reason=Reason.BLOCKED)
        user.blocked_at = user.blocked_by_id = user.blocked_reason = None
        user.session_key = new_session_key()
        audit.note(by, Action.UNBLOCKED, subject=user, address=address, reason=reason)
    return user


def make_editor(user: User, *, is_editor: bool = True, by: User | None = None, address: str | None = None) -> User:
    """Gives or takes the right to write the blog; it holds from the next page on."""
    if not access.may_change_role(by):
        raise Refused(_("Only administrators give this right."))
    if user.is_editor is not is_editor:
        user.is_editor = is_editor
        given = Action.EDITOR_RIGHT_GIVEN if is_editor else Action.EDITOR_RIGHT_TAKEN
        audit.note(by, given, subject=user, address=address)
    return user


def blocked_by(user: User) -> str:
    """Who blocked him, by name; empty when it was done on the command line or that person is gone."""
    found = db.session.get(User, user.blocked_by_id) if user.blocked_by_id else None
    return (found.full_name or found.email) if found else ""


def _check_blocking(user: User, by: User | None) -> None:
    if access.may_block(by, user):
        return
    if by is not None and by.id == user.id:
        raise Refused(_("Nobody blocks himself or lets himself in."))
    raise Refused(_("Only an administrator blocks managers and administrators or lets them in."))


def _locked(user: User, by: User | None) -> list[int]:
    """Locks whom it is about, who acts, and all administrators; returns the ids of those who may act as such.

    In one order, so that two who act on each other wait and do not deadlock: the second finds what the first made.
    """
    people = [user.id, by.id] if by else [user.id]
    query = select(User).where(User.id.in_(people) | (User.role == Role.ADMIN)).order_by(User.id)
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return [person.id for person in db.session.scalars(query) if access.is_admin(person)]
