from datetime import timedelta

import pytest

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Attempt, Batch, Delivery, Result, State, Turn
from mailservice.services import consents, timeline
from tests import factories, queries


def deliver(mailing, client, *, due, results=()):
    """An attempt with one delivery and its results."""
    with transaction() as session:
        attempt = Attempt(mailing_id=mailing.id, owner_id=mailing.owner_id, occurrence=due.day, due_at=due)
        attempt.status = "done"
        session.add(attempt)
        session.flush()
        session.add(Batch(attempt_id=attempt.id, number=0, size=1, waiting=1))
        session.flush()
        delivery = Delivery(
            attempt_id=attempt.id,
            batch=0,
            client_id=client.id,
            email=client.email,
            email_normalised=client.email_normalised,
            full_name="",
            comment="",
            round=1,
        )
        session.add(delivery)
        session.flush()
        for state, reply in results:
            session.add(
                Result(
                    delivery_id=delivery.id,
                    attempt_id=attempt.id,
                    round=1,
                    state=state,
                    reply=reply,
                    tried_at=clock.now(),
                )
            )
            session.flush()


@pytest.fixture
def owner(app):
    return factories.user()


def entries(client, **page):
    return timeline.of(client, **({"number": 1, "size": 50} | page))


def told(client, **page):
    """Each entry in a word or two."""
    return [
        (entry.line.state, entry.line.reply) if entry.line else entry.consent.turn if entry.consent else "added"
        for entry in entries(client, **page).items
    ]


def test_every_letter_stands_with_its_latest_result_newest_first(owner):
    client = factories.client(owner, created_at=clock.now() - timedelta(days=3))
    mailing = factories.mailing(owner, clients=[client])
    now = clock.now()
    deliver(mailing, client, due=now + timedelta(days=1))
    deliver(mailing, client, due=now - timedelta(days=2), results=[(State.SENT, "250 2.0.0 Ok")])
    failing = [(State.DEFERRED, "451 later"), (State.FAILED, "550 no such user")]
    deliver(mailing, client, due=now - timedelta(days=1), results=failing)
    assert told(client) == [("waiting", None), ("failed", "550 no such user"), ("sent", "250 2.0.0 Ok"), "added"]


def test_a_letter_that_is_put_off_shows_the_last_refusal(owner):
    client = factories.client(owner)
    mailing = factories.mailing(owner, clients=[client])
    results = [(State.DEFERRED, "451 once"), (State.DEFERRED, "451 twice")]
    deliver(mailing, client, due=clock.now() + timedelta(hours=1), results=results)
    assert told(client)[0] == ("deferred", "451 twice")


def test_turns_stand_among_the_letters_also_those_before_the_client_was_added_again(owner):
    with transaction():
        consents.note(owner.id, "boris@example.org", Turn.UNSUBSCRIBED)
        consents.note(owner.id, "vera@example.org", Turn.UNSUBSCRIBED)
        consents.note(owner.id, "boris@example.org", Turn.SAID_WHY, said="Too many", leaving=None)
    client = factories.client(owner, email="boris@example.org")
    assert told(client) == ["added", Turn.SAID_WHY, Turn.UNSUBSCRIBED]
    assert entries(client).items[1].consent.detail == {"said": "Too many"}


def test_nothing_of_another_owner_is_there(owner):
    other = factories.user()
    mine, others = factories.client(owner, email="b@example.org"), factories.client(other, email="b@example.org")
    deliver(factories.mailing(other, clients=[others]), others, due=clock.now(), results=[(State.SENT, "250 ok")])
    with transaction():
        consents.note(other.id, "b@example.org", Turn.UNSUBSCRIBED)
    assert told(mine) == ["added"]


def test_a_long_history_comes_in_pages_with_a_fixed_number_of_questions(owner):
    client = factories.client(owner, created_at=clock.now() - timedelta(days=40))
    mailing = factories.mailing(owner, clients=[client])
    for day in range(1, 8):
        deliver(mailing, client, due=clock.now() - timedelta(days=day), results=[(State.SENT, f"250 {day}")])
    assert entries(client, size=3).total == 8
    assert told(client, number=3, size=3)[-1] == "added"
    with queries.counted() as few:
        told(client, size=1)
    with queries.counted() as many:
        told(client, size=50)
    assert len(many) <= len(few) <= 5
