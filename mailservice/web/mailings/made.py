"""Which mailing a form has made, in the session: the same form sent again leads there."""

from __future__ import annotations

import secrets

from flask import session
from flask_login import current_user

from mailservice.errors import NotFound
from mailservice.services import mailings

NAME = "made"
KEPT = 10  # the session is a cookie
LONGEST = 24


def new_key() -> str:
    """What tells one form that was shown from another."""
    return secrets.token_urlsafe(9)


def remember(key: str | None, mailing_id: int) -> None:
    if key and len(key) <= LONGEST:
        made = sorted((session.get(NAME, {}) | {key: mailing_id}).items(), key=lambda item: item[1])
        session[NAME] = dict(made[-KEPT:])


def by(key: str | None) -> int | None:
    """The mailing that this form made, if it is still there."""
    mailing_id = session.get(NAME, {}).get(key)
    try:
        return mailings.own(current_user, mailing_id).id if mailing_id else None
    except NotFound:
        return None
