"""A schedule as people say it."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime as format_local
from flask_babel import format_timedelta, get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from mailservice import clock
from mailservice.models import Mailing, Periodicity

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


def local(value: datetime, pattern: str = "d MMM y, HH:mm") -> str:
    """A local date and time of a mailing, as it stands on the wall there."""
    return format_local(value.replace(tzinfo=None), pattern, locale=get_locale())


def in_zone(value: datetime, time_zone: str) -> str:
    """A moment on the wall clock of a zone, with its weekday."""
    return local(value.astimezone(ZoneInfo(time_zone)), "EEE, d MMM y, HH:mm")


def from_now(value: datetime) -> str:
    """“in 8 days”, “now” for what is due."""
    seconds = (value - clock.now()).total_seconds()
    if seconds <= 0:
        return _("now")
    return str(format_timedelta(value - clock.now(), add_direction=True, threshold=1.2))
