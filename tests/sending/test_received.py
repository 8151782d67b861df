"""Who received a mailing, against the definition: any round of any of its letters to him was sent, or may have been."""

import random

import pytest
from sqlalchemy import insert, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Batch, Client, Delivery, Result, State
from mailservice.sending import conditions
from mailservice.sending.conditions import Conditions
from mailservice.services import filters
from tests import factories

AGAIN = (State.FAILED, State.UNKNOWN)  # what a person may send again
BATCH = 4


@pytest.fixture
def owner(app):
    return factories.user()


def history(chance):
    """Results of one delivery, by round; the current round has a final one or none."""
    rounds = []
    while True:
        tries = [State.DEFERRED] * chance.choice((0, 0, 1))
        final = chance.choice(
            (State.SENT, State.SENT, State.FAILED, State.UNKNOWN, State.SKIPPED, State.CANCELLED, None)
        )
        rounds.append([*tries, *filter(None, [final])])
        if final not in AGAIN or chance.random() < 0.5:
            return rounds


def attempt(mailing, clients, chance, *, number, is_through):
    """An attempt with its counts as they are while it is sent; (client, results by round) of each letter."""
    letters = []
    for client in clients:
        rounds = history(chance)
        while is_through and not (rounds[-1] and rounds[-1][-1] is not State.DEFERRED):
            rounds = history(chance)
        letters.append((client, rounds))
    status = AttemptStatus.DONE if is_through else AttemptStatus.SENDING
    with transaction() as session:
        values = {"mailing_id": mailing.id, "owner_id": mailing.owner_id, "occurrence": number, "due_at": clock.now()}
        row = Attempt(**values, status=status)
        session.add(row)
        session.flush()
        for start in range(0, len(letters), BATCH):
            _batch(session, row.id, start // BATCH + 1, letters[start : start + BATCH])
    return letters


def _batch(session, attempt_id, number, letters):
    finals = [rounds[-1][-1] if rounds[-1] else State.DEFERRED for _client, rounds in letters]
    counts = {s.value: finals.count(s) for s in State if s is not State.DEFERRED}
    waiting = finals.count(State.DEFERRED)
    row = {"attempt_id": attempt_id, "number": number, "size": len(letters), "waiting": waiting}
    session.execute(insert(Batch), [row | counts])
    for client, rounds in letters:
        values = {"email": client.email, "email_normalised": client.email, "full_name": "", "comment": ""}
        delivery = Delivery(attempt_id=attempt_id, batch=number, client_id=client.id, round=len(rounds), **values)
        session.add(delivery)
        session.flush()
        common = {"delivery_id": delivery.id, "attempt_id": attempt_id, "tried_at": clock.now()}
        rows = [common | {"round": n, "state": s} for n, states in enumerate(rounds, 1) for s in states]
        if rows:
            session.execute(insert(Result), rows)


def meant(owner, **wanted):
    query = select(Client.id).where(filters.meant(owner, Conditions(**wanted)))
    return set(db.session.scalars(query))


@pytest.mark.parametrize("seed", range(4))
def test_it_is_told_as_the_results_would_tell_it(owner, seed):
    chance = random.Random(seed)
    people = [factories.client(owner) for _ in range(30)]
    mailing, other = factories.mailing(owner, clients=[]), factories.mailing(owner, clients=[])
    letters = []
    for number, is_through in enumerate((True, True, False)):
        letters += attempt(mailing, chance.sample(people, 12), chance, number=number, is_through=is_through)
    attempt(other, people, chance, number=0, is_through=True)
    got = {c.id for c, rounds in letters if any({State.SENT, State.UNKNOWN} & set(states) for states in rounds)}
    everybody = {c.id for c in people}
    assert 0 < len(got) < len(people)
    assert meant(owner, got=mailing.id) == got
    assert meant(owner, not_got=mailing.id) == everybody - got
    middle = (people[10].id, people[20].id)
    among = set(range(middle[0], middle[1] + 1))
    sliced = {"now": clock.now(), "between": middle}  # as audiences are prepared, and many clients are tagged
    for wanted, expected in ((Conditions(got=mailing.id), got), (Conditions(not_got=mailing.id), everybody - got)):
        query = select(Client.id).where(conditions.where(wanted, owner.id, **sliced))
        assert set(db.session.scalars(query)) == expected & among


def test_before_the_first_attempt_nobody_has_got_it(owner):
    anna = factories.client(owner)
    mailing = factories.mailing(owner, clients=[anna])
    assert meant(owner, got=mailing.id) == set()
    assert meant(owner, not_got=mailing.id) == {anna.id}
