"""What stands in the cells of a list: on a page as the rest of the product shows it, in an export as plain text.

Each function takes how to get a value from a line and returns a formatter for Flask-Admin, which calls it with a
template's context on pages and without one in exports.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import current_app, request, url_for
from flask_babel import get_timezone
from markupsafe import Markup

from mailservice.models import Event, User
from mailservice.services import masking
from mailservice.web import filters, states
from mailservice.web.manager import words

Get = Callable[[Any], Any]
Formatter = Callable[[Any, Any, Any, str], Any]
LONGEST = 300  # characters of a text in a list


def text(get: Get) -> Formatter:
    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        value = get(line)
        if value is None or context is None:
            return "" if value is None else str(value)
        shown = str(value)
        return shown if len(shown) <= LONGEST else shown[:LONGEST] + "…"

    return cell


def number(get: Get) -> Formatter:
    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        value = get(line)
        return value if context is None else filters.number(value)

    return cell


def moment(get: Get) -> Formatter:
    """In the manager's zone; in an export with its distance from UTC."""

    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        value: datetime | None = get(line)
        if context is not None:
            return filters.moment(value, zone=False)
        return value.astimezone(get_timezone()).isoformat(" ", "seconds") if value else ""

    return cell


def state(
    get: Get, word: Callable[[Any], Any] = states.word, colour: Callable[[Any], Any] = lambda name: name
) -> Formatter:
    """A dot in one of the five colours and a word."""

    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        name = get(line)
        if context is None:
            return str(word(name))
        dot = Markup('<i class="dot c-{}"></i>').format(states.colour(colour(name)))
        return Markup('<span class="state">{}{}</span>').format(dot, word(name))

    return cell


def link(get: Get, to: Callable[[Any], tuple[str, int] | None], look: str = "long") -> Formatter:
    """A text that opens the page of a row: `to` gives the list's slug and the row's number. No link to where one is."""

    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        shown, target = get(line), to(line)
        if context is None or target is None or not shown:
            return shown or ""
        slug, row_id = target
        url = url_for(f"manager_{slug}.details_view", row_id=row_id)
        return shown if url == request.path else Markup('<a class="{}" href="{}">{}</a>').format(look, url, shown)

    return cell


def person(get: Callable[[Any], User | None]) -> Formatter:
    """A user: his address, which opens his page."""
    return link(lambda line: getattr(get(line), "email", ""), lambda line: _page_of(get(line)), look="person")


def above(first: Formatter, second: Formatter) -> Formatter:
    """Two cells in the room of one; an export has the first alone, and the second in a column of its own."""

    def cell(view: Any, context: Any, line: Any, name: str) -> Any:
        upper = first(view, context, line, name)
        return upper if context is None else Markup("{}<div>{}</div>").format(upper, second(view, context, line, name))

    return cell


def address(get: Get, slug: str, get_id: Get) -> Formatter:
    """A client's address, masked, which opens the page of its row."""
    return link(lambda line: masking.address(get(line)), lambda line: (slug, get_id(line)), look="name masked")


def reply(get: Get) -> Formatter:
    """A mail server's words, which come here masked."""

    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        said = get(line) or ""
        return said if context is None else Markup('<span class="reply clamp">{}</span>').format(said or "–")

    return cell


def counts(get_id: Get, get: Get) -> Formatter:
    """A bar and its numbers; each opens the deliveries behind it."""

    def cell(_view: Any, context: Any, line: Any, _name: str) -> Any:
        macros = current_app.jinja_env.get_template("manager/macros.html").module
        return macros.tally(get_id(line), get(line))  # type: ignore[attr-defined]

    return cell


def actor(get: Callable[[Any], Event]) -> Formatter:
    """Who did it: his address, which opens his page."""
    return link(lambda line: words.actor(get(line)), lambda line: _page_of(get(line).actor), look="person")


def _page_of(user: User | None) -> tuple[str, int] | None:
    return ("users", user.id) if user else None
