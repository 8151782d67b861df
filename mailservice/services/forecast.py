"""What a schedule will do, before it does it: whether it makes sense, its next firings, and what the calendar does."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import gettext as _

from mailservice.errors import Invalid
from mailservice.models import Periodicity
from mailservice.services import schedule, zones
from mailservice.services.schedule import Schedule

YEARS = range(2000, 2101)
SHOWN = 5


class Effect(enum.StrEnum):
    """What the calendar or the clocks do to a firing."""

    AT_ONCE = "at_once"  # its moment has passed
    MONTH_END = "month_end"  # the month is too short for its day
    GAP = "gap"  # the clocks skip its time
    FOLD = "fold"  # the clocks show its time twice
    CLOCKS = "clocks"  # they have changed since the firing before


@dataclass(frozen=True)
class Firing:
    """`at`: the moment (UTC); `local`: on the wall there; `planned`: what the wall was meant to show."""

    at: datetime
    local: datetime
    planned: datetime
    effects: tuple[Effect, ...]


@dataclass(frozen=True)
class Forecast:
    firings: tuple[Firing, ...] = ()
    ends: bool = False  # there is none after these
    warning: str = ""


def check(plan: Schedule, now: datetime) -> None:
    """Invalid beside the field of the form that is wrong."""
    if plan.time_zone not in zones.every():
        raise Invalid(_("There is no such time zone. Choose one from the list."), field="time_zone")
    wrong_year = _("The year must be between %(first)s and %(last)s.", first=YEARS[0], last=YEARS[-1])
    if plan.start_local.year not in YEARS:
        raise Invalid(wrong_year, field="start_date")
    if plan.end_local is None:
        return
    if plan.end_local.year not in YEARS:
        raise Invalid(wrong_year, field="end_date")
    if plan.end_local <= plan.start_local:
        raise Invalid(_("The end must be later than the first send."), field="end_date")
    if plan.end_at and plan.end_at <= now:
        raise Invalid(_("The end has already passed: nothing would ever be sent."), field="end_date")
    if plan.at(0) is None:  # both within one hour that daylight saving time skips
        raise Invalid(_("Nothing would ever be sent before this end."), field="end_date")


def ahead(plan: Schedule, now: datetime, *, has_fired: bool = False) -> Forecast:
    """The next firings of a schedule that is started now; one that `has_fired` begins nothing at once."""
    try:
        check(plan, now)
    except Invalid as error:
        return Forecast(warning=error.message)
    found = tuple(firing for firing, _number in zip(_firings(plan, now, has_fired), range(SHOWN + 1), strict=False))
    return Forecast(found[:SHOWN], ends=len(found) <= SHOWN, warning=_warning(plan, found))


def _warning(plan: Schedule, found: tuple[Firing, ...]) -> str:
    if not found:
        return _("Nothing would be sent any more: this moment has passed, and the mailing has been sent before.")
    if plan.periodicity is not Periodicity.ONCE and len(found) == 1:
        return _("There is room for one time only before the end.")
    return ""


def _firings(plan: Schedule, now: datetime, has_fired: bool) -> Iterator[Firing]:
    zone = ZoneInfo(plan.time_zone)
    before: timedelta | None = None
    first = plan.at(0)
    if first and first <= now and not has_fired:
        here = now.astimezone(zone)
        before = here.utcoffset()
        yield Firing(now, here.replace(tzinfo=None), plan.start_local, (Effect.AT_ONCE,))
    n = plan.first_after(now)
    while (at := plan.at(n)) is not None:
        here = at.astimezone(zone)
        local, planned = here.replace(tzinfo=None), schedule.wall(plan.start_local, plan.periodicity, n)
        clocks = before is not None and here.utcoffset() != before
        yield Firing(at, local, planned, tuple(_effects(plan, local, planned, zone, clocks)))
        before = here.utcoffset()
        n += 1


def _effects(plan: Schedule, local: datetime, planned: datetime, zone: ZoneInfo, clocks: bool) -> Iterator[Effect]:
    if plan.periodicity is Periodicity.MONTHLY and planned.day != plan.start_local.day:
        yield Effect.MONTH_END
    if local != planned:
        yield Effect.GAP
    elif planned.replace(tzinfo=zone, fold=0).utcoffset() != planned.replace(tzinfo=zone, fold=1).utcoffset():
        yield Effect.FOLD
    elif clocks:
        yield Effect.CLOCKS
