from datetime import UTC, datetime, timedelta

import pytest

from mailservice.models import Periodicity
from mailservice.services import forecast
from mailservice.services.forecast import Effect
from mailservice.services.schedule import Schedule

ONCE, DAILY, WEEKLY, MONTHLY = Periodicity
NOW = datetime(2026, 1, 10, 12, 0, tzinfo=UTC)


def local(*parts):
    return datetime(*parts)  # noqa: DTZ001


@pytest.fixture(autouse=True)
def _texts(app):
    with app.test_request_context():
        yield


def ahead(plan, now=NOW, **options):
    found = forecast.ahead(plan, now, **options)
    return [(f.local.strftime("%d.%m %H:%M"), [str(e) for e in f.effects]) for f in found.firings]


def test_a_month_that_is_too_short_says_so():
    plan = Schedule(local(2026, 1, 31, 9), "Europe/Moscow", MONTHLY)
    assert ahead(plan) == [
        ("31.01 09:00", []),
        ("28.02 09:00", ["month_end"]),
        ("31.03 09:00", []),
        ("30.04 09:00", ["month_end"]),
        ("31.05 09:00", []),
    ]


def test_clocks_that_skip_a_time_show_it_twice_or_have_changed_are_named():
    spring = Schedule(local(2026, 3, 28, 2, 30), "Europe/Berlin", DAILY)
    assert ahead(spring)[:4] == [
        ("28.03 02:30", []),
        ("29.03 03:30", ["gap"]),
        ("30.03 02:30", []),
        ("31.03 02:30", []),
    ]
    autumn = Schedule(local(2026, 10, 24, 2, 30), "Europe/Berlin", DAILY)
    assert ahead(autumn)[1] == ("25.10 02:30", ["fold"])
    weekly = Schedule(local(2026, 3, 25, 9), "Europe/Berlin", WEEKLY)
    assert ahead(weekly)[:2] == [("25.03 09:00", []), ("01.04 09:00", ["clocks"])]


def test_a_start_that_has_passed_begins_at_once_unless_the_mailing_has_fired():
    plan = Schedule(local(2026, 1, 5, 9), "UTC", WEEKLY)
    assert ahead(plan)[:2] == [("10.01 12:00", ["at_once"]), ("12.01 09:00", [])]
    assert ahead(plan, has_fired=True)[0] == ("12.01 09:00", [])


def test_the_end_is_seen():
    plan = Schedule(local(2026, 1, 12, 9), "UTC", WEEKLY, local(2026, 1, 27))
    found = forecast.ahead(plan, NOW)
    assert (len(found.firings), found.ends, found.warning) == (3, True, "")
    assert not forecast.ahead(Schedule(local(2026, 1, 12, 9), "UTC", WEEKLY), NOW).ends


@pytest.mark.parametrize(
    ("plan", "has_fired", "word"),
    [
        (Schedule(local(2026, 1, 12, 9), "UTC", DAILY, local(2026, 1, 12, 8)), False, "later than the first"),
        (Schedule(local(2026, 1, 1, 9), "UTC", DAILY, local(2026, 1, 2)), False, "already passed"),
        (Schedule(local(2026, 3, 29, 2, 10), "Europe/Berlin", ONCE, local(2026, 3, 29, 2, 20)), False, ""),
        (Schedule(local(2026, 1, 1, 9), "UTC", ONCE), True, "Nothing would be sent any more"),
        (Schedule(local(2026, 1, 12, 9), "UTC", MONTHLY, local(2026, 2, 1)), False, "one time only"),
        (Schedule(local(2026, 1, 12, 9), "Moon/Sea", DAILY), False, "no such time zone"),
        (Schedule(local(9999, 1, 12, 9), "UTC", DAILY), False, "year"),
        (Schedule(local(2026, 1, 12, 9), "Pacific/Apia", DAILY, local(1, 1, 1)), False, "year"),
    ],
)
def test_what_will_never_fire_is_warned_of(plan, has_fired, word):
    assert word in forecast.ahead(plan, NOW, has_fired=has_fired).warning


def test_a_once_mailing_has_one_firing():
    found = forecast.ahead(Schedule(local(2026, 1, 12, 9), "UTC", ONCE), NOW)
    assert [f.at for f in found.firings] == [NOW + timedelta(days=1, hours=21)]
    assert found.ends
    assert Effect.AT_ONCE not in found.firings[0].effects
