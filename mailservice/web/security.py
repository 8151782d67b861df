"""Closed by default: a view is for signed-in people unless it is marked `@public`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request, session
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from sqlalchemy.exc import OperationalError

from mailservice.database import transaction
from mailservice.extensions import login_manager
from mailservice.models import User
from mailservice.services import sessions

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC_ENDPOINTS = frozenset({"static", "bootstrap.static", "blog.image", "messages.image"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def public(view: View) -> View:
    """Marks a view that answers anybody."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def is_public(app: Flask, endpoint: str) -> bool:
    return endpoint in PUBLIC_ENDPOINTS or getattr(app.view_functions[endpoint], "is_public", False)


def init_app(app: Flask) -> None:
    app.before_request(_close_doors)
    app.before_request(_note_presence)
    app.after_request(_add_headers)
    login_manager.login_view = "auth.sign_in"
    login_manager.login_message = _l("Sign in to see this page.")
    login_manager.session_protection = None  # the session key in the cookie already answers for itself


@login_manager.user_loader
def _load_user(key: str) -> User | None:
    row = sessions.find(key)
    if row is None:
        return None
    g.user_session = row
    row.user.browser_key = row.key
    return row.user


def _close_doors() -> Any:
    """Before any view: nobody passes a door that is not marked. An unknown address is a plain 404."""
    if request.endpoint is None or is_public(current_app, request.endpoint):
        return None
    return None if current_user.is_authenticated else login_manager.unauthorized()


def _note_presence() -> None:
    """Once a minute; a database that is too busy for it is no reason to refuse the page."""
    if request.endpoint in {None, *PUBLIC_ENDPOINTS} or "_user_id" not in session:
        return
    row = g.user_session if current_user.is_authenticated else None
    if row is not None and sessions.is_stale(row):
        seen, remembered = row.id, row.remembered
        try:
            with transaction():
                sessions.see(seen, remembered=remembered)
        except OperationalError as error:
            log.warning("The session %d was seen, which could not be written down: %s", seen, error)
        session.modified = remembered  # its cookie lives on, too


def _add_headers(response: Response) -> Response:
    """A page that needs another policy (a framed preview) sets its own before this."""
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    # The cookie alone is asked: this page may say that the database is away.
    if request.endpoint not in PUBLIC_ENDPOINTS and "_user_id" in session:
        headers.setdefault("Cache-Control", "private, no-store")
    if current_app.config["SETTINGS"].https:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    return response
