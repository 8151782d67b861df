"""Batches that go from hand to hand at bad moments: given back and taken at once, out of order, taken away."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, insert, select, update
from sqlalchemy.exc import OperationalError

from mailservice import clock
from mailservice.database import db, read, write
from mailservice.jobs import drains, ticks
from mailservice.models import Batch, Delivery, Result, State
from mailservice.sending import books, claims, ledger
from mailservice.sending.keeping import Keeper
from tests import factories, invariants
from tests.engine import attempt_of, due_mailing, run_senders
from tests.faults.mail_server import DROP, PASS, Wait

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture(autouse=True)
def invariants_hold(app, mail_server):
    yield
    drains.let_go()
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def addresses(domain, count):
    return [f"client-{n}@{domain}" for n in range(count)]


def prepared(mailing):
    ticks.tick()
    attempt_id = attempt_of(mailing).id
    db.session.rollback()
    return attempt_id


def divide(attempt_id, size):
    """Batches of `size` instead of 500, so that a few letters make many of them: their deliveries, by number."""
    with write() as connection:
        ids = connection.scalars(
            select(Delivery.id).where(Delivery.attempt_id == attempt_id).order_by(Delivery.id)
        ).all()
        parts = {n + 1: ids[n * size : (n + 1) * size] for n in range(-(-len(ids) // size))}
        first, *others = (
            {"attempt_id": attempt_id, "number": n, "size": len(p), "waiting": len(p)} for n, p in parts.items()
        )
        connection.execute(update(Batch).where(Batch.attempt_id == attempt_id).values(first))
        connection.execute(insert(Batch), others)
        for number, part in parts.items():
            connection.execute(update(Delivery).where(Delivery.id.in_(part)).values(batch=number))
    return parts


def defer(attempt_id, due):
    """Each delivery was put off some minutes ago, and is due again at its time."""
    values = {
        "attempt_id": attempt_id,
        "round": 1,
        "state": State.DEFERRED,
        "code": 450,
        "reply": "450 4.2.0 greylisted",
    }
    values["tried_at"] = clock.now() - timedelta(minutes=5)
    with write() as connection:
        connection.execute(insert(Result), [values | {"delivery_id": d, "not_before": at} for d, at in due.items()])
        for number in connection.scalars(select(Batch.number).where(Batch.attempt_id == attempt_id)).all():
            ledger.free_batch(connection, attempt_id, number)  # once held: the fence says so


def batches(attempt_id):
    with read() as connection:
        return connection.execute(select(Batch).where(Batch.attempt_id == attempt_id).order_by(Batch.number)).all()


@contextmanager
def noted_claims(act=lambda: None):
    """Counts claims, and does something after each."""
    made = []

    def note(connection, cursor, statement, *_):
        if statement.startswith("UPDATE batches SET") and "RETURNING" in statement:
            made.append(statement)
            act()

    event.listen(db.engine, "after_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(db.engine, "after_cursor_execute", note)


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "the answer to the commit lost"])
def test_a_batch_that_is_given_back_and_taken_again_at_once_is_not_lost(owner, monkeypatch, is_told):
    """Commit and claim have both come back before anybody looks."""
    attempt_id = prepared(due_mailing(owner, addresses("example.org", 2)))
    sender = drains.own_sender()
    keeper = Keeper(sender, attempt_id)
    keeper.claim_more()
    wait([keeper._claiming.future])
    keeper.look()
    (before,) = keeper._holds.values()
    while keeper.queue:
        keeper.queue.popleft()[0].put_off(0)
    commit = books.commit

    def lost(*args):
        commit(*args)
        raise OperationalError("COMMIT", {}, Exception("the connection was lost"))

    with monkeypatch.context() as patch:
        patch.setattr(books, "commit", commit if is_told else lost)
        keeper._commit(last=False)
    keeper.claim_more()
    wait([keeper._committing, keeper._claiming.future])
    keeper.look()
    (held,) = keeper._holds.values()
    assert held is not before
    assert held.claim.fence == batches(attempt_id)[0].fence
    assert held.journal not in sender._spare
    assert [hold for hold, _ in keeper.queue] == [held] * 2
    keeper.finish()
    assert batches(attempt_id)[0].holder is None


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer
def test_batches_that_are_taken_out_of_order_keep_their_own_letters(owner):
    attempt_id = prepared(due_mailing(owner, addresses("example.org", 6)))
    parts = divide(attempt_id, 2)
    with db.engine.connect() as other:
        dying = other.begin()
        claims.claim(other, attempt_id, holders=["dies"], now=clock.now())  # the first batch, never committed
        with noted_claims(act=lambda: dying.is_active and dying.rollback()), write() as connection:
            taken = claims.claim(connection, attempt_id, holders=["a", "b"], now=clock.now())
    assert [claim.number for claim in taken] == [2, 1]
    assert {claim.number: [w.delivery_id for w in claim.waiting] for claim in taken} == {2: parts[2], 1: parts[1]}
    with write() as connection:
        for claim in taken:
            ledger.release(connection, claim)


def test_what_was_put_off_before_waits_as_long_as_it_is_put_off_now(owner):
    attempt_id = prepared(due_mailing(owner, addresses("gmail.com", 3)))
    with read() as connection:
        ids = connection.scalars(select(Delivery.id).where(Delivery.attempt_id == attempt_id)).all()
    now = clock.now()
    soon = now + timedelta(seconds=200)
    defer(attempt_id, {id_: now + timedelta(seconds=due) for id_, due in zip(ids, (-2, -1, 300), strict=True)})
    with write() as connection:
        (claim,) = claims.claim(connection, attempt_id, holders=["a"], now=now)
        ledger.release(connection, claim, until=soon)
    assert len(claim.waiting) == 2
    assert [batch.not_before for batch in batches(attempt_id)] == [soon]


def test_letters_that_are_put_off_again_do_not_keep_the_others_from_their_turn(owner, app, mail_server):
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_groups="gmail=0.02")
    attempt_id = prepared(due_mailing(owner, addresses("gmail.com", 400) + addresses("example.org", 20)))
    parts = divide(attempt_id, 4)
    defer(attempt_id, {d: clock.now() - timedelta(seconds=1) for number in range(1, 101) for d in parts[number]})
    with noted_claims() as made:

        def others_had_theirs():
            return sum(letter.recipient.endswith("@example.org") for letter in mail_server.accepted) == 20

        drains.own_sender().drain(attempt_id, must_stop=lambda: others_had_theirs() or len(made) > 2 * len(parts))
    assert others_had_theirs()


@pytest.mark.parametrize("letters", ["at hand", "parked", "in flight"])
def test_a_run_whose_only_batch_is_taken_away_ends(owner, app, mail_server, letters):
    """While the server takes longer for an answer than the word lasts that letters may go."""
    values = {"parked": {"mail_groups": "rest=0.5"}, "in flight": {"mail_connections": 1}}
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **values.get(letters, {}))
    mail_server.pipelining = mail_server.chunking = False
    if letters == "in flight":
        mail_server.on_rcpt("client-0@example.org", (Wait(2.0), DROP))
    mail_server.on_dot((Wait(2.0), PASS))
    mailing = due_mailing(owner, addresses("example.org", 20))
    attempt_id = prepared(mailing)
    gives_up, taken_away = clock.steady() + 60, []

    def must_stop():
        if mail_server.tries("client-0@example.org") and not taken_away:
            with write() as connection:
                taken_away.append(connection.execute(update(Batch).values(fence=Batch.fence + 1, evicted=True)))
        return clock.steady() > gives_up

    drains.own_sender().drain(attempt_id, must_stop=must_stop)
    assert taken_away
    assert clock.steady() < gives_up  # it ended by itself
    mail_server.rules.clear()
    with write() as connection:
        connection.execute(update(Batch).values(lease_until=clock.now() - timedelta(seconds=1)))
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_groups="")
    drains.let_go()
    run_senders(times=2)
    assert Counter(letter.recipient for letter in mail_server.accepted).most_common(1)[0][1] == 1
