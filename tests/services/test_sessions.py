from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import NotFound
from mailservice.models import Event, User, UserSession
from mailservice.services import sessions
from tests import factories

DAY = timedelta(days=1)


def begin(user, *, remembered=False, browser="Firefox"):
    with transaction():
        return sessions.start(user, remembered=remembered, browser=browser, address="192.0.2.1").key


def actions():
    return list(db.session.scalars(select(Event.action).order_by(Event.id)))


def test_a_session_is_found_by_its_key_with_its_user(app):
    user = factories.user()
    found = sessions.find(begin(user))
    assert (found.user.id, found.browser, found.address) == (user.id, "Firefox", "192.0.2.1")
    assert sessions.find("another") is None
    assert sessions.find(user.session_key) is None  # what stands behind all of them opens nothing itself


@pytest.mark.parametrize(("remembered", "days"), [(False, 1), (True, 14)])
def test_a_session_ends_when_nobody_comes(app, remembered, days):
    key = begin(factories.user(), remembered=remembered)
    with time_machine.travel(clock.now() + days * DAY - timedelta(minutes=1), tick=False):
        row = sessions.find(key)
        assert sessions.is_stale(row)
        with transaction():
            sessions.see(row.id, remembered=remembered)
    with time_machine.travel(clock.now() + days * DAY + timedelta(minutes=1), tick=False):
        assert sessions.find(key)  # it was seen meanwhile
    with time_machine.travel(clock.now() + 2 * days * DAY, tick=False):
        assert sessions.find(key) is None


def test_another_session_key_ends_all_sessions(app):
    user = factories.user()
    keys = [begin(user), begin(user)]
    with transaction():
        db.session.get(User, user.id).session_key = "another"
    assert [sessions.find(key) for key in keys] == [None, None]
    assert list(sessions.of(user)) == []


def test_one_session_ends_and_the_others_stay(app):
    user = factories.user()
    first, second = begin(user), begin(user)
    with transaction():
        sessions.end(user, sessions.find(first).id, address=None)
    assert sessions.find(first) is None
    assert sessions.find(second)
    assert actions() == ["signed_in", "signed_in", "signed_out"]


def test_nobody_ends_a_session_of_somebody_else(app):
    user, stranger = factories.user(), factories.user()
    key = begin(user)
    with pytest.raises(NotFound), transaction():
        sessions.end(stranger, sessions.find(key).id, address=None)
    assert sessions.find(key)


def test_signing_out_everywhere_leaves_no_row(app):
    user = factories.user()
    keys = [begin(user), begin(user)]
    with transaction():
        sessions.end_all(user, address="192.0.2.9")
    assert [sessions.find(key) for key in keys] == [None, None]
    assert db.session.scalar(select(func.count()).select_from(UserSession)) == 0
    event = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
    assert (event.action, event.actor_id, event.address) == ("signed_out_everywhere", user.id, "192.0.2.9")


def test_a_renewed_session_has_another_key(app):
    user = factories.user()
    old = begin(user)
    row = sessions.find(old)
    with transaction():
        user.session_key = "another"
        new = sessions.renew(user, row).key
    assert sessions.find(old) is None
    assert sessions.find(new).id == row.id


def test_signing_in_sweeps_away_what_has_ended_and_keeps_a_bounded_number(app, monkeypatch):
    monkeypatch.setattr(sessions, "MOST", 3)
    user, other = factories.user(), factories.user()
    foreign = begin(other)
    with time_machine.travel(clock.now() - 2 * DAY, tick=False):
        begin(user)
        begin(other)
    keys = [begin(user) for _ in range(4)]
    assert [bool(sessions.find(key)) for key in keys] == [False, True, True, True]
    assert db.session.scalar(select(func.count()).where(UserSession.user_id == user.id)) == 3
    assert [row.key for row in db.session.scalars(select(UserSession).where(UserSession.user_id == other.id))] == [
        foreign
    ]


def test_whatever_a_browser_calls_itself_is_kept_short_and_printable(app):
    row = sessions.find(begin(factories.user(), browser="Fire\x00fox\r\n" + "x" * 5000))
    assert row.browser.startswith("Firefoxx")
    assert len(row.browser) <= sessions.LONGEST_BROWSER
