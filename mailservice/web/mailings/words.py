"""A schedule as people say it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_datetime as format_local
from flask_babel import format_decimal, format_timedelta, get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from mailservice import clock
from mailservice.models import Mailing, Periodicity
from mailservice.services.forecast import Effect, Firing
from mailservice.services.mailing_lists import Order
from mailservice.services.schedule import Schedule
from mailservice.services.watching import Stage, Watch

PERIODICITIES = {
    Periodicity.ONCE: _l("once"),
    Periodicity.DAILY: _l("every day"),
    Periodicity.WEEKLY: _l("every week"),
    Periodicity.MONTHLY: _l("every month"),
}
WEEKDAYS = (
    _l("every Monday"),
    _l("every Tuesday"),
    _l("every Wednesday"),
    _l("every Thursday"),
    _l("every Friday"),
    _l("every Saturday"),
    _l("every Sunday"),
)
SHORTEST_MONTH = 28
ORDERS: Mapping[Order, Any] = {
    Order.NEXT: _l("Next time first"),
    Order.TITLE: _l("By title"),
    Order.NEWEST: _l("Newest first"),
}
STAGES: Mapping[Stage, Any] = {
    Stage.HELD: _l("Started"),
    Stage.DUE: _l("Begins in a moment"),
    Stage.PLANNED: _l("Planned: begins in a moment"),
    Stage.PREPARING: _l("The list of recipients is being made"),
    Stage.QUEUED: _l("Waiting for a free sender"),
    Stage.SENDING: _l("Being sent"),
    Stage.RETRYING: _l("The rest is tried again later"),
    Stage.SERVER_AWAY: _l("Waiting for the mail server"),
    Stage.PAUSED: _l("Paused"),
    Stage.STOPPING: _l("Stopping"),
}
STAGE_COLOURS = {
    Stage.RETRYING: "waiting",
    Stage.SERVER_AWAY: "failed",
    Stage.QUEUED: "waiting",
    Stage.PAUSED: "waiting",
    Stage.STOPPING: "failed",
}


def schedule(mailing: Mailing) -> str:
    """“every Monday, 09:00”; the zone stands beside it."""
    start = mailing.start_local
    time = start.strftime("%H:%M")
    match mailing.periodicity:
        case Periodicity.ONCE:
            return _("once, %(day)s, %(time)s", day=local(start, "d MMM y"), time=time)
        case Periodicity.DAILY:
            return _("every day, %(time)s", time=time)
        case Periodicity.WEEKLY:
            return f"{WEEKDAYS[start.weekday()]}, {time}"
        case Periodicity.MONTHLY if start.day > SHORTEST_MONTH:
            return _("monthly on day %(day)s or the last one, %(time)s", day=start.day, time=time)
        case _:
            return _("monthly on day %(day)s, %(time)s", day=start.day, time=time)


def effects(firing: Firing, plan: Schedule) -> list[str]:
    """What the calendar or the clocks do to this firing, in words."""
    said = {
        Effect.AT_ONCE: _("at once: the first time has passed"),
        Effect.MONTH_END: _("the last day: this month has no %(day)s", day=_ordinal(plan.start_local.day)),
        Effect.GAP: _("the clocks go forward and skip %(time)s on that day", time=firing.planned.strftime("%H:%M")),
        Effect.FOLD: _("the clocks go back and show this time twice: sent the first time"),
        Effect.CLOCKS: _("the clocks have changed; the time of day stays"),
    }
    return [said[effect] for effect in firing.effects]


def _ordinal(day: int) -> str:
    """“31st”; languages that need no ending leave the number as it is."""
    kinds = {1: "st", 2: "nd", 3: "rd"}
    ending = "th" if day in (11, 12, 13) else kinds.get(day % 10, "th")
    return f"{day}{ending}" if str(get_locale()).startswith("en") else str(day)


def rate(watch: Watch) -> str:
    """“120 a second”, “40 a minute”."""
    if not watch.rate:
        return "–"
    if watch.rate >= 2:
        n = round(watch.rate)
        return ngettext("%(shown)s a second", "%(shown)s a second", n, shown=format_decimal(n))
    n = max(1, round(watch.rate * 60))
    return ngettext("%(shown)s a minute", "%(shown)s a minute", n, shown=format_decimal(n))


def lasting(value: timedelta | None) -> str:
    """“3 minutes”; a dash where nobody knows."""
    return "–" if value is None else str(format_timedelta(value, granularity="second", threshold=1.5))


def local(value: datetime, pattern: str = "d MMM y, HH:mm") -> str:
    """A local date and time of a mailing, as it stands on the wall there."""
    return format_local(value.replace(tzinfo=None), pattern, locale=get_locale())


def in_zone(value: datetime, time_zone: str) -> str:
    """A moment on the wall clock of a zone, with its weekday."""
    return with_weekday(value.astimezone(ZoneInfo(time_zone)))


def with_weekday(value: datetime) -> str:
    """A local date and time, as in “Mon, 31 Jan 2031, 09:00”."""
    return local(value, "EEE, d MMM y, HH:mm")


def from_now(value: datetime) -> str:
    """“in 8 days”, “now” for what is due."""
    seconds = (value - clock.now()).total_seconds()
    if seconds <= 0:
        return _("now")
    return str(format_timedelta(value - clock.now(), add_direction=True, threshold=1.2))
