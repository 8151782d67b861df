import pytest
from sqlalchemy import delete, insert

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Event, Mailing, Result, State
from mailservice.services import audit, overview, reports
from mailservice.services.audit import Action
from mailservice.services.mailings import Phase
from tests import factories
from tests.queries import counted


@pytest.fixture
def owner(app):
    return factories.user(email="owner@example.org")


def attempt(mailing, occurrence, status=AttemptStatus.DONE):
    with transaction() as session:
        row = Attempt(mailing_id=mailing.id, owner_id=mailing.owner_id, occurrence=occurrence, due_at=clock.now())
        row.status = status
        session.add(row)
    return row


def test_what_a_user_has_is_counted_without_what_others_have(owner):
    mailing = factories.mailing(owner)
    attempt(mailing, 0)
    factories.mailing(factories.user())
    assert overview.holdings(owner) == overview.Holdings(clients=1, messages=1, mailings=1, attempts=1)


def test_the_board_counts_everybodys(owner):
    factories.user(blocked_at=clock.now())
    disabled = factories.mailing(owner, disabled_at=clock.now())
    sending = factories.mailing(factories.user())
    attempt(sending, 0, AttemptStatus.SENDING)
    attempt(disabled, 0)
    board = overview.board()
    assert (board.users, board.blocked) == (3, 1)
    assert board.phases == {Phase.DISABLED: 1, Phase.SENDING: 1}
    assert [line.mailing.id for line in board.open_attempts] == [sending.id]


def test_a_mailings_latest_attempts_come_first_and_are_few(owner):
    mailing = factories.mailing(owner)
    for occurrence in range(overview.LATEST + 2):
        attempt(mailing, occurrence)
    numbers = [line.attempt.occurrence for line in overview.attempts_of(mailing)]
    assert numbers == list(range(overview.LATEST + 1, 1, -1))


def test_an_event_names_its_subject_as_long_as_that_is_there(owner):
    mailing = factories.mailing(owner, title="Weekly digest")
    with transaction():
        audit.note(None, Action.BLOCKED, subject=owner)
        audit.note(None, Action.MAILING_DISABLED, subject=mailing)
        audit.note(owner, Action.SIGNED_IN)
    events = db.session.query(Event).order_by(Event.id).all()
    assert [line.subject for line in overview.event_lines(events)] == ["owner@example.org", "Weekly digest", ""]
    assert [line.event.action for line in overview.events_about(mailing)] == ["mailing_disabled"]
    with transaction() as session:
        session.execute(delete(Mailing))
    assert overview.event_lines([db.session.get_one(Event, events[1].id)])[0].subject == ""


def test_the_tries_of_a_delivery_come_in_order_and_by_the_indexes_there_are(owner):
    tried = (State.DEFERRED, State.DEFERRED, State.FAILED)
    with transaction() as session:
        for delivery_id in (7, 8):
            row = {"delivery_id": delivery_id, "attempt_id": 1, "round": 1, "tried_at": clock.now()}
            session.execute(insert(Result), [row | {"state": state} for state in tried])
    with counted() as asked:
        found = reports.results_of([8])[8]
    assert [(result.delivery_id, result.state) for result in found] == [(8, state) for state in tried]
    about_results = [query for query in asked if "FROM results" in query]
    assert about_results
    assert all("<> 'deferred'" in query or "= 'deferred'" in query for query in about_results)
