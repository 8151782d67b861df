"""Which language and time zone a page speaks: the person's choice, then the browser's, then the default."""

from flask import current_app, request, session
from flask_login import current_user

from config import LANGUAGES


def current() -> str | None:
    """A language of `config.LANGUAGES`; None outside a request, where the default holds."""
    if not request:
        return None
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    if current_user.is_authenticated:
        return str(current_user.language)
    default = str(current_app.config["BABEL_DEFAULT_LOCALE"])
    ordered = [default, *(name for name in LANGUAGES if name != default)]
    return request.accept_languages.best_match(ordered) or default


def time_zone() -> str | None:
    """The signed-in person's zone; None elsewhere, where the default holds."""
    if request and current_user.is_authenticated:
        return str(current_user.time_zone)
    return None
