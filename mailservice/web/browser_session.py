"""The browser's side of a session: what its cookie holds. What counts is the row that `services.sessions` keeps."""

from __future__ import annotations

from typing import TypedDict

from flask import g, request, session
from flask_login import login_user, logout_user

from mailservice.models import UserSession


class Origin(TypedDict):
    """Where a request comes from."""

    browser: str
    address: str | None


def origin() -> Origin:
    return {"browser": request.user_agent.string, "address": request.remote_addr}


def enter(row: UserSession) -> None:
    """The cookie opens this session from now on; nothing of the visitor's before survives but the language."""
    spoken = session.get("language", row.user.language)
    session.clear()
    session["language"] = spoken
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
