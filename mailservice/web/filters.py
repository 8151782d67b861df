"""Template filters and names that every page knows."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from babel.dates import get_timezone, get_timezone_location, get_timezone_name
from babel.numbers import format_decimal as babel_decimal
from flask import Flask, current_app, request
from flask_babel import format_datetime, format_timedelta, get_locale
from flask_babel import get_timezone as here
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import current_user
from markupsafe import Markup, escape

from mailservice import clock
from mailservice.services import access
from mailservice.services.counting import MoreThan
from mailservice.web import states

# What the rail on the left shows, as far as the page exists: endpoint, word.
RAIL = (
    ("home.index", _l("Home")),
    ("mailings.index", _l("Mailings")),
    ("messages.index", _l("Messages")),
    ("clients.index", _l("Clients")),
    ("suppressions.index", _l("Stop list")),
    ("reports.index", _l("Reports")),
    ("blog.index", _l("Blog")),
)
POSTS = ("posts.index", _l("Posts"))  # for editors alone
DESK = ("manager.index", _l("Managers' desk"))  # for managers alone

MOMENT = "d MMM y, HH:mm"


def init_app(app: Flask) -> None:
    app.jinja_env.filters.update(
        moment=moment,
        day=day,
        from_now=from_now,
        number=number,
        state_word=states.word,
        state_counted=states.counted,
        state_colour=states.colour,
    )
    app.jinja_env.globals.update(segments=states.segments, zone_word=zone_word, get_locale=get_locale)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"rail": _rail()})


def moment(value: datetime | None, *, zone: bool = True) -> str:
    """Date and time where the person is, with the zone named; a dash when there is none."""
    if value is None:
        return "–"
    text = escape(format_datetime(value, MOMENT))
    name = Markup(' <span class="sub">{}</span>').format(zone_word()) if zone else ""
    return Markup('<time class="text-nowrap" datetime="{}">{}</time>{}').format(value.isoformat(), text, name)


def moment_text(value: datetime) -> str:
    """The same as plain words."""
    return f"{format_datetime(value, MOMENT)} ({zone_word()})"


def day(value: datetime | None) -> str:
    return format_datetime(value, "d MMM y") if value else "–"


def from_now(value: datetime) -> str:
    """“in 5 minutes”; “now” for what is due."""
    wait = value - clock.now()
    return str(format_timedelta(wait, add_direction=True, threshold=1.2)) if wait.total_seconds() > 0 else _("now")


def number(value: Any) -> str:
    """A whole number as the language groups its digits."""
    shown = _grouped(int(value or 0), str(get_locale() or "en"))
    return _("more than %(number)s", number=shown) if isinstance(value, MoreThan) else shown


@lru_cache(maxsize=1 << 14)  # a list shows hundreds
def _grouped(value: int, locale: str) -> str:
    return str(babel_decimal(value, locale=locale))


def zone_word(name: str | None = None) -> str:
    """A zone as people say it (“Moscow Time” → “Moscow”); without a name: the person's own."""
    locale = get_locale() or "en"
    try:
        zone = get_timezone(name) if name else here()
        place = get_timezone_location(zone, locale=locale, return_city=True)
        return str(place or get_timezone_name(zone, width="short", locale=locale))
    except LookupError:
        return str(name)


def _rail() -> list[dict[str, Any]]:
    """The desk's pages have a blueprint each, whose names begin with the desk's own."""
    shown = list(RAIL)
    if current_user.is_authenticated:
        shown += [POSTS] if access.may_write_posts(current_user) else []
        shown += [DESK] if access.is_staff(current_user) else []
    here = (request.blueprint or "").split("_")[0]
    return [
        {"endpoint": endpoint, "word": word, "here": endpoint.split(".")[0] == here}
        for endpoint, word in shown
        if endpoint in current_app.view_functions
    ]
