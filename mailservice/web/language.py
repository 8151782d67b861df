"""Which language and time zone a page speaks: the person's choice, then the browser's, then the default."""

from flask import current_app, request, session
from flask_login import current_user

from config import LANGUAGES


def current() -> str | None:
    """A language of `config.LANGUAGES`; None outside a request, where the default holds."""
    if not request:
        return None
    if session.get("language") not in LANGUAGES and current_user.is_authenticated:
        return str(current_user.language)
    return without_person()


def without_person() -> str:
    """The same without asking who is signed in: for pages that must stand when the database does not."""
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    default = str(current_app.config["BABEL_DEFAULT_LOCALE"])
    ordered = [default, *(name for name in LANGUAGES if name != default)]
    return request.accept_languages.best_match(ordered) or default


def time_zone() -> str | None:
    """The signed-in person's zone; None elsewhere, where the default holds."""
    if request and current_user.is_authenticated:
        return str(current_user.time_zone)
    return None


def of_reader(writers: str | None) -> str:
    """For pages that letters lead to: what the reader chose here, what his browser asks for, else the writer's."""
    chosen = session.get("language")
    if chosen in LANGUAGES:
        return str(chosen)
    otherwise = writers if writers in LANGUAGES else str(current_app.config["BABEL_DEFAULT_LOCALE"])
    return request.accept_languages.best_match([otherwise, *LANGUAGES]) or otherwise
