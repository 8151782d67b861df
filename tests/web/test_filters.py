from datetime import UTC, datetime, timedelta

import pytest
from flask_babel import force_locale, refresh
from flask_login import login_user

from mailservice import clock
from mailservice.web import filters
from tests import factories


@pytest.fixture
def request_of(app):
    def begin(**values):
        context = app.test_request_context("/")
        context.push()
        begun.append(context)
        login_user(factories.user(**values))
        refresh()

    begun = []
    yield begin
    for context in begun:
        context.pop()


def test_a_moment_is_on_the_persons_clock_with_the_zone_named(request_of):
    request_of(time_zone="Asia/Yekaterinburg", language="en")
    text = filters.moment(datetime(2026, 11, 22, 10, 0, tzinfo=UTC))
    assert "15:00" in text
    assert "Yekaterinburg" in text


def test_no_moment_is_a_dash(app):
    assert filters.moment(None) == "–"


def test_a_wait_is_told_from_now(app):
    with force_locale("en"):
        assert filters.from_now(clock.now() + timedelta(minutes=5, seconds=1)) == "in 5 minutes"
        assert filters.from_now(clock.now() - timedelta(minutes=5)) == "now"


def test_digits_are_grouped_as_the_language_does(app):
    with force_locale("en"):
        assert filters.number(2318) == "2,318"
    with force_locale("ru"):
        assert filters.number(2318) == "2\xa0318"


@pytest.mark.parametrize("zone", ["Europe/Moscow", "UTC", "Nowhere/AtAll"])
def test_any_zone_has_a_word(app, zone):
    assert filters.zone_word(zone)
