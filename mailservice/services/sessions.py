"""Sessions: where a user is signed in. The cookie holds a key; only the row behind it opens anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from flask_babel import gettext as _
from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, delete, not_, or_, select, update
from sqlalchemy.orm import contains_eager

from config import STAY_SIGNED_IN
from mailservice import clock
from mailservice.database import db
from mailservice.errors import NotFound
from mailservice.models import User, UserSession
from mailservice.models.session import new_key
from mailservice.models.user import new_session_key
from mailservice.services import audit, ids
from mailservice.services.audit import Action

VISIT = timedelta(days=1)  # without a request; then a session that is not remembered ends
SEEN_EVERY = timedelta(minutes=1)
MOST = 50  # of one user; then the one seen longest ago ends
LONGEST_BROWSER = 300


def start(user: User, *, remembered: bool, browser: str, address: str | None) -> UserSession:
    """The user has signed in; sessions that have ended are swept away by the way."""
    row = UserSession(
        user_id=user.id,
        user_key=user.session_key,
        remembered=remembered,
        expires_at=clock.now() + _lifetime(remembered),
        browser="".join(c for c in browser[:LONGEST_BROWSER] if c.isprintable()),
        address=address,
    )
    db.session.add(row)
    db.session.flush()
    _sweep(user)
    audit.note(user, Action.SIGNED_IN, subject=user, address=address)
    return row


def find(key: str) -> UserSession | None:
    """The living session with this key and its user, in one query."""
    return db.session.scalars(_finding(), {"key_": key, "now_": clock.now()}).one_or_none()


@cache  # every page asks it, and to put it together costs half as much as to run it
def _finding() -> Select[UserSession]:
    query = select(UserSession).join(UserSession.user).options(contains_eager(UserSession.user))
    return query.where(UserSession.key == bindparam("key_"), _lives(bindparam("now_")))


def is_stale(row: UserSession) -> bool:
    """Whether it is time to write down that the session is in use."""
    return clock.now() - row.last_seen_at >= SEEN_EVERY


def see(session_id: int, *, remembered: bool) -> None:
    """The session is in use: it lives on from now."""
    now = clock.now()
    seen = {"last_seen_at": now, "expires_at": now + _lifetime(remembered)}
    db.session.execute(update(UserSession).where(UserSession.id == session_id).values(seen))


def of(user: User) -> Sequence[UserSession]:
    """The living ones, the last seen first."""
    query = select(UserSession).join(UserSession.user).where(UserSession.user_id == user.id, _lives(clock.now()))
    return db.session.scalars(query.order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())).all()


def renew(user: User, row: UserSession) -> UserSession:
    """The same sign-in under a new key: after an act that ended all sessions, in the browser that did it."""
    row.key, row.user_key = new_key(), user.session_key
    return row


def end(user: User, session_id: int, *, address: str | None) -> None:
    """Signs the user out of one browser; NotFound for a session of somebody else."""
    query = delete(UserSession).where(UserSession.id == session_id, UserSession.user_id == user.id)
    if not ids.possible(session_id) or not db.session.execute(query).rowcount:  # type: ignore[attr-defined]
        raise NotFound(_("There is no such session."))
    audit.note(user, Action.SIGNED_OUT, subject=user, address=address)


def end_all(user: User, *, address: str | None) -> None:
    """Signs the user out everywhere."""
    user.session_key = new_session_key()
    db.session.execute(delete(UserSession).where(UserSession.user_id == user.id))
    audit.note(user, Action.SIGNED_OUT_EVERYWHERE, subject=user, address=address)


def _lifetime(remembered: bool) -> timedelta:
    return STAY_SIGNED_IN if remembered else VISIT


def _lives(now: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """True for a session that opens doors; the query has joined its user."""
    return (UserSession.user_key == User.session_key) & (UserSession.expires_at > now)


def _sweep(user: User) -> None:
    """Whose session has ended need not be known any longer; of this user's the newest stay."""
    newest = select(UserSession.id).where(UserSession.user_id == user.id).order_by(UserSession.last_seen_at.desc())
    outlived = or_(UserSession.user_key != user.session_key, not_(UserSession.id.in_(newest.limit(MOST))))
    ended = or_(UserSession.expires_at <= clock.now(), (UserSession.user_id == user.id) & outlived)
    db.session.execute(delete(UserSession).where(ended))
