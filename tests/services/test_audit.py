from __future__ import annotations

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from mailservice.database import db, transaction
from mailservice.models import Event, Message, User
from mailservice.services import audit
from mailservice.services.audit import Action
from tests import factories


@pytest.fixture
def actor(app):
    return factories.user()


@pytest.fixture
def event(actor):
    with transaction():
        audit.note(actor, Action.BLOCKED, subject=actor, address="192.0.2.1", reason="spam", rows=3)
    return db.session.scalars(select(Event)).one()


def test_an_event_says_who_did_what_to_what_why_and_from_where(actor, event):
    assert (event.actor_id, event.action) == (actor.id, "blocked")
    assert (event.subject_type, event.subject_id) == ("user", actor.id)
    assert event.detail == {"reason": "spam", "rows": 3}
    assert event.address == "192.0.2.1"
    assert event.at is not None


def test_a_subject_that_is_just_being_made_has_its_number(actor):
    with transaction() as session:
        message = Message(owner_id=actor.id, subject="News", body="Good day")
        session.add(message)
        audit.note(None, Action.EXPORTED, subject=message)
    event = db.session.scalars(select(Event)).one()
    assert (event.subject_type, event.subject_id) == ("message", message.id)


def test_an_event_is_not_written_without_the_act_it_tells_of(actor):
    def act():
        with transaction():
            audit.note(actor, Action.SIGNED_IN)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()
    assert db.session.scalars(select(Event)).all() == []


def test_an_event_is_never_changed_by_the_program(event):
    with pytest.raises(RuntimeError, match="appended"), transaction():
        event.action = "nothing"
    with pytest.raises(RuntimeError, match="appended"), transaction() as session:
        session.delete(event)


@pytest.mark.parametrize(
    "statement",
    [
        update(Event).values(action="nothing"),
        update(Event).values(detail={}),
        update(Event).values(at=Event.at),
        delete(Event),
    ],
    ids=str,
)
def test_the_database_itself_refuses_to_change_an_event(event, statement):
    with pytest.raises(DBAPIError, match="appended, never changed"), transaction() as session:
        session.execute(statement)


def test_nobody_can_be_made_the_actor_afterwards(event):
    other = factories.user()
    with pytest.raises(DBAPIError, match="appended, never changed"), transaction() as session:
        session.execute(update(Event).values(actor_id=other.id))


def test_an_event_outlives_the_user_who_did_it(actor, event):
    with transaction() as session:
        session.execute(delete(User).where(User.id == actor.id))
    kept = db.session.scalars(select(Event)).one()
    assert (kept.actor_id, kept.subject_id, kept.action) == (None, event.subject_id, "blocked")
