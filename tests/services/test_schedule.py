"""Recurrence: properties over zones with every kind of oddity, and the examples that a person would check."""

# ruff: noqa: DTZ001  (local starts have no zone of their own)

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservice.models import Periodicity
from mailservice.services import schedule
from mailservice.services.schedule import Schedule, occurrence

ONCE, DAILY, WEEKLY, MONTHLY = Periodicity
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tehran",
    "Australia/Lord_Howe",  # DST of half an hour
    "Pacific/Apia",  # 30 December 2011 never was
    "Asia/Kolkata",
    "America/Sao_Paulo",
    "Africa/Casablanca",  # DST turned round: winter time in Ramadan
    "Pacific/Chatham",  # +12:45
    "Europe/Moscow",
)
DAY = timedelta(days=1)

zones = st.sampled_from(ZONES)
recurring = st.sampled_from((DAILY, WEEKLY, MONTHLY))
starts = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1)).map(lambda d: d.replace(second=0, microsecond=0))
# Hours in which clocks are put forward and back, so that Hypothesis need not find them.
odd_starts = st.builds(
    lambda d, hour, minute: d.replace(hour=hour, minute=minute),
    starts,
    st.integers(0, 3),
    st.sampled_from((0, 15, 30, 45)),
)
locals_ = starts | odd_starts
numbers = st.integers(0, 600)
quick = settings(deadline=None, max_examples=120)


def in_zone(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone))


def exists(local: datetime, zone: str) -> bool:
    there = local.replace(tzinfo=ZoneInfo(zone))
    return there.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local


def local_of(start: datetime, periodicity: Periodicity, n: int) -> datetime:
    """The wall clock of the n-th firing, the slow way."""
    if periodicity is not MONTHLY:
        return start + n * (DAY if periodicity is DAILY else 7 * DAY)
    year, month = start.year, start.month
    for _ in range(n):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))


@quick
@given(locals_, zones, recurring, numbers)
def test_the_wall_clock_holds_whatever_the_zone_does(start, zone, periodicity, n):
    wanted = local_of(start, periodicity, n)
    fired = in_zone(occurrence(start, zone, periodicity, n), zone)
    if exists(wanted, zone):
        assert fired.replace(tzinfo=None, fold=0) == wanted
        assert fired.fold == 0, "of two the first"
    else:
        gap = fired.replace(tzinfo=None) - wanted
        before, after = (in_zone(fired - DAY, zone).utcoffset(), fired.utcoffset())
        assert timedelta() < gap <= DAY
        assert gap == after - before or zone in ("Pacific/Apia", "Africa/Casablanca")


@quick
@given(locals_, zones, recurring)
def test_moments_rise_and_where_a_zone_skips_a_day_they_stand(start, zone, periodicity):
    moments = [occurrence(start, zone, periodicity, n) for n in range(40)]
    for n, (one, next_one) in enumerate(pairwise(moments)):
        assert one <= next_one
        if one == next_one:
            assert zone == "Pacific/Apia"
            assert local_of(start, periodicity, n).date().isoformat() == "2011-12-30"


@quick
@given(locals_, zones, recurring, st.timedeltas(timedelta(days=-40), timedelta(days=4000)), st.booleans())
def test_the_first_firing_after_a_moment_is_the_one_that_counting_finds(start, zone, periodicity, ahead, on_the_dot):
    plan = Schedule(start, zone, periodicity)
    moment = occurrence(start, zone, periodicity, 0) + ahead
    if on_the_dot:
        moment = occurrence(start, zone, periodicity, max(0, ahead.days // 31))
    found = plan.first_after(moment)
    assert plan.at(found) > moment
    assert found == 0 or plan.at(found - 1) <= moment
    if found < 200:
        assert found == next(n for n in range(1000) if plan.at(n) > moment)


@quick
@given(locals_, zones, st.sampled_from(list(Periodicity)), st.timedeltas(timedelta(minutes=1), timedelta(days=800)))
def test_nothing_fires_at_its_end_or_after_it(start, zone, periodicity, length):
    end = (start + length).replace(second=0, microsecond=0)
    plan = Schedule(start, zone, periodicity, end)
    moments = list(plan.firings(after=datetime(2000, 1, 1, tzinfo=UTC)))
    assert all(moment < plan.end_at for moment in moments)
    endless = islice(Schedule(start, zone, periodicity).firings(after=datetime(2000, 1, 1, tzinfo=UTC)), 1000)
    assert moments == [moment for moment in endless if moment < plan.end_at], "and nothing before it is left out"


@quick
@given(locals_, zones, recurring, st.timedeltas(timedelta(days=-40), timedelta(days=900)))
def test_firings_rise_and_begin_after_the_moment_asked_for(start, zone, periodicity, ahead):
    after = occurrence(start, zone, periodicity, 0) + ahead
    moments = list(islice(Schedule(start, zone, periodicity).firings(after=after), 30))
    assert len(moments) == 30
    assert moments[0] > after
    assert all(one < next_one for one, next_one in pairwise(moments))


@quick
@given(locals_, zones)
def test_once_is_once(start, zone):
    plan = Schedule(start, zone, ONCE)
    first = plan.at(0)
    assert [plan.at(n) for n in (1, 2, 50)] == [None, None, None]
    assert list(plan.firings(after=first - DAY)) == [first]
    assert list(plan.firings(after=first)) == []


def days(start: datetime, periodicity: Periodicity, count: int) -> list[str]:
    return [f"{occurrence(start, 'UTC', periodicity, n):%m-%d}" for n in range(count)]


def test_a_month_that_is_too_short_takes_its_last_day_and_the_next_ones_are_not_shortened():
    assert days(datetime(2023, 1, 31), MONTHLY, 5) == ["01-31", "02-28", "03-31", "04-30", "05-31"]
    assert days(datetime(2024, 1, 31), MONTHLY, 3) == ["01-31", "02-29", "03-31"]
    assert days(datetime(2024, 1, 30), MONTHLY, 3) == ["01-30", "02-29", "03-30"]
    assert days(datetime(2023, 11, 30), MONTHLY, 5) == ["11-30", "12-30", "01-30", "02-29", "03-30"]
    assert occurrence(datetime(2024, 2, 29), "UTC", MONTHLY, 12) == datetime(2025, 2, 28, tzinfo=UTC)
    assert occurrence(datetime(2024, 2, 29), "UTC", MONTHLY, 48) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "start", "n", "moment"),
    [
        # The gap: 02:30 does not exist on the last Sunday of March, and is 03:30.
        ("Europe/Berlin", "2024-03-30 02:30", 1, "2024-03-31 01:30"),
        ("Europe/Berlin", "2024-03-30 02:30", 2, "2024-04-01 00:30"),
        ("America/New_York", "2024-03-09 02:30", 1, "2024-03-10 07:30"),
        ("Australia/Lord_Howe", "2024-10-05 02:15", 1, "2024-10-05 15:45"),  # 02:15 is 02:45 at +11:00
        ("Pacific/Chatham", "2024-09-28 02:50", 1, "2024-09-28 14:05"),  # 02:50 is 03:50 at +13:45
        ("America/Sao_Paulo", "2018-11-03 00:00", 1, "2018-11-04 03:00"),  # midnight itself was skipped
        # The fold: 02:30 comes twice, and fires at the first.
        ("Europe/Berlin", "2024-10-26 02:30", 1, "2024-10-27 00:30"),
        ("America/New_York", "2024-11-02 01:30", 1, "2024-11-03 05:30"),
        ("Australia/Lord_Howe", "2024-04-06 01:45", 1, "2024-04-06 14:45"),
        # The wall clock holds where the law changed.
        ("Europe/Moscow", "2014-10-25 09:00", 1, "2014-10-26 06:00"),
        ("Asia/Tehran", "2022-09-21 09:00", 1, "2022-09-22 05:30"),
        ("Asia/Kolkata", "2024-03-30 02:30", 1, "2024-03-30 21:00"),
        # The day that never was.
        ("Pacific/Apia", "2011-12-29 09:00", 1, "2011-12-30 19:00"),
        ("Pacific/Apia", "2011-12-29 09:00", 2, "2011-12-30 19:00"),
        ("Pacific/Apia", "2011-12-29 09:00", 3, "2011-12-31 19:00"),
    ],
)
def test_days_on_which_clocks_are_changed(zone, start, n, moment):
    wanted = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert occurrence(datetime.fromisoformat(start), zone, DAILY, n) == wanted


def test_a_day_that_never_was_is_no_second_firing():
    plan = Schedule(datetime(2011, 12, 28, 9), "Pacific/Apia", DAILY)
    moments = list(islice(plan.firings(after=datetime(2011, 12, 1, tzinfo=UTC)), 4))
    assert [f"{in_zone(m, 'Pacific/Apia'):%m-%d %H:%M}" for m in moments] == [
        "12-28 09:00",
        "12-29 09:00",
        "12-31 09:00",
        "01-01 09:00",
    ]


def test_the_calendar_has_an_end_and_reaching_it_is_no_error():
    plan = Schedule(datetime(9999, 12, 30, 23), "America/New_York", DAILY)
    assert plan.at(0) is not None
    assert plan.at(5) is None
    assert list(islice(plan.firings(after=datetime(9999, 12, 1, tzinfo=UTC)), 50)) != []
    assert Schedule(datetime(9998, 1, 31), "UTC", MONTHLY).at(24) is None


def test_a_form_shows_what_will_come():
    asked = (datetime(2024, 1, 31, 10), "Europe/Berlin", MONTHLY, datetime(2024, 4, 30, 10))
    found = list(islice(schedule.Schedule(*asked).firings(after=datetime(2024, 1, 1, tzinfo=UTC)), 5))
    assert [f"{moment:%m-%d %H:%M}" for moment in found] == ["01-31 09:00", "02-29 09:00", "03-31 08:00"]


@pytest.mark.parametrize(
    ("periodicity", "end", "late"),
    [
        (DAILY, None, timedelta(hours=6)),
        (WEEKLY, None, timedelta(hours=6)),
        (MONTHLY, datetime(2030, 1, 1), timedelta(hours=6)),
        (ONCE, None, timedelta(hours=24)),
        (ONCE, datetime(2030, 1, 1), timedelta.max),  # its end decides
    ],
)
def test_how_late_a_firing_may_still_begin(periodicity, end, late):
    assert Schedule(datetime(2024, 1, 1), "UTC", periodicity, end).tolerance() == late
