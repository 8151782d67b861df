"""Tokens in links of letters: signed, for one purpose, expiring, and dead once they have been used."""

from __future__ import annotations

import enum
import hashlib
import hmac
from datetime import timedelta

from flask_babel import gettext as _
from itsdangerous import BadData, URLSafeTimedSerializer

from mailservice.database import db
from mailservice.errors import Refused
from mailservice.models import User


class Purpose(enum.StrEnum):
    CONFIRM = "confirm"
    RESET = "reset"
    ADDRESS = "address"  # a new one instead of the present one


DIGEST_LENGTH = 32  # characters
LIFETIME = {
    Purpose.CONFIRM: timedelta(days=3),
    Purpose.RESET: timedelta(hours=1),
    Purpose.ADDRESS: timedelta(days=1),
}


def make(user: User, *, purpose: Purpose, secret: str) -> str:
    """It carries a stamp of what it is going to change, so that the change makes it void."""
    return str(_serializer(purpose, secret).dumps([user.id, _stamp(user, purpose, secret)]))


def user_of(token: str, *, purpose: Purpose, secret: str, lock: bool = False) -> User:
    """Whose token this is; Refused when it is forged, for another purpose, too old or used up."""
    try:
        data = _serializer(purpose, secret).loads(token, max_age=int(LIFETIME[purpose].total_seconds()))
        user_id, stamp = data
    except (BadData, ValueError, TypeError):
        raise Refused(_("This link is not valid or no longer valid.")) from None
    user = db.session.get(User, user_id, with_for_update=lock)
    if user is None or not hmac.compare_digest(stamp, _stamp(user, purpose, secret)):
        raise Refused(_("This link has been used already or is no longer valid."))
    return user


def registration_mark(user: User, secret: str) -> str:
    """Stays in the browser that registered: who has it chose the password that stands now."""
    return _digest(secret, f"registered {user.id} {user.password_hash}")


def _serializer(purpose: Purpose, secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=f"mailservice.{purpose}")


def _stamp(user: User, purpose: Purpose, secret: str) -> str:
    state = {
        Purpose.CONFIRM: f"{user.email_normalised} {user.confirmed_at}",
        Purpose.RESET: f"{user.email_normalised} {user.password_hash} {user.session_key}",
        Purpose.ADDRESS: f"{user.email_normalised} {user.new_email} {user.session_key}",
    }[purpose]
    return _digest(secret, f"{purpose} {state}")


def _digest(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()[:DIGEST_LENGTH]
