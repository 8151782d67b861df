"""The browser's side of a session: what its cookie holds. What counts is the row that `services.sessions` keeps."""

from __future__ import annotations

from typing import TypedDict

from flask import g, request, session
from flask_login import current_user, login_user, logout_user

from mailservice.models import UserSession


class Origin(TypedDict):
    """Where a request comes from."""

    browser: str
    address: str | None


def origin() -> Origin:
    return {"browser": request.user_agent.string, "address": request.remote_addr}


def enter(row: UserSession) -> None:
    """The cookie opens this session from now on; nothing of the visitor's before survives but the language.

    For the same user again, his open forms stay good.
    """
    kept = {"language": session.get("language", row.user.language)}
    if current_user.is_authenticated and current_user.id == row.user_id and "csrf_token" in session:
        kept["csrf_token"] = session["csrf_token"]
    session.clear()
    session.update(kept)
    session.permanent = row.remembered
    row.user.browser_key = row.key
    login_user(row.user)
    g.user_session = row


def leave() -> None:
    """The cookie opens nothing any more; the pages keep speaking as they did."""
    spoken = session.get("language")
    logout_user()
    session.clear()
    if spoken:
        session["language"] = spoken
