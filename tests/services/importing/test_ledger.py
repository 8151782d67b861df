"""Any file, over any clients and any stop list, in slices of any size: counted as it will be done, done as counted."""

from __future__ import annotations

import csv
import io
import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from mailservice import caching
from mailservice.database import db, read, transaction
from mailservice.jobs import importing
from mailservice.models import Client, ImportRow, RowState, Suppression, SuppressionReason, Turn
from mailservice.services import duplicates
from mailservice.services.importing import imports, steps
from mailservice.services.importing.imports import Existing
from tests import factories
from tests import importing as make
from tests.services.test_signups import save, signed_up

ADDRESSES = ("a@example.org", "b@example.org", "C@example.org", "c@Example.org", "d@example.org", "")
NAMES = ("", "Anna", "Анна", "\\N", "a\\tb", "c:\\new")
ROWS = st.lists(st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(NAMES)), min_size=1, max_size=9)
CLIENTS = st.dictionaries(st.sampled_from(("a@example.org", "b@example.org", "c@example.org")), st.sampled_from(NAMES))
STOPPED = st.sets(st.sampled_from(("b@example.org", "d@example.org")))
thoroughly = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def expected(rows, clients, stopped, existing):
    """What becomes of each row, and who is there afterwards, told in Python."""
    clients, states, seen = dict(clients), [], set()
    for email, name in rows:
        address = email.lower()
        if not email and not name:
            continue  # an empty record is none
        if not email:
            states.append(RowState.INVALID)
        elif address in seen:
            states.append(RowState.DUPLICATE)
        elif address in stopped:
            states.append(RowState.SUPPRESSED)
        elif address not in clients:
            states.append(RowState.NEW)
            clients[address] = name
        else:
            old = clients[address]
            clients[address] = (name or old) if existing is Existing.OVERWRITE else (old or name)
            states.append(RowState.UNCHANGED if clients[address] == old else RowState.CHANGED)
        seen.add(address)
    return states, clients


def an_owner(clients, stopped):
    owner = factories.user()
    with transaction() as session:
        for address, name in clients.items():
            session.add(Client(owner_id=owner.id, email=address, email_normalised=address, full_name=name))
        for address in stopped:
            reason = SuppressionReason.UNSUBSCRIBED
            session.add(Suppression(owner_id=owner.id, email_normalised=address, reason=reason))
    return owner


def taken_in(owner, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("email", "name"), *rows, ("@", "")])  # one is no address at all
    return make.take_in(owner, text.getvalue())


def names_of(owner):
    query = select(Client.email_normalised, Client.full_name).where(Client.owner_id == owner.id)
    return dict(row for row in db.session.execute(query))


def states_of(import_id):
    query = select(ImportRow.state).where(ImportRow.import_id == import_id).order_by(ImportRow.number)
    return list(db.session.scalars(query))


def counts(found):
    return Counter({state: number for state in RowState if (number := getattr(found, state))})


@thoroughly
@given(rows=ROWS, clients=CLIENTS, stopped=STOPPED, existing=st.sampled_from(Existing), size=st.integers(1, 10))
def test_an_import_does_what_its_dry_run_told_and_its_undoing_takes_it_back(
    app, monkeypatch, rows, clients, stopped, existing, size
):
    monkeypatch.setattr(steps, "SIZE", size)
    owner = an_owner(clients, stopped)
    states, afterwards = expected(rows, clients, stopped, existing)
    found = make.check(taken_in(owner, rows), existing=existing, roles=["email", "full_name"])
    assert states_of(found.id) == [*states, RowState.INVALID]
    told = counts(found)
    assert told == Counter([*states, RowState.INVALID])
    if found.new + found.changed:
        found = make.start(found)
        assert counts(found) == told
        assert names_of(owner) == afterwards
        found = make.undo(found)
        assert (found.removed, found.restored) == (told[RowState.NEW], told[RowState.CHANGED])
    assert names_of(owner) == clients


@thoroughly
@given(rows=ROWS, clients=CLIENTS, later=CLIENTS, stopped=STOPPED, left=STOPPED, existing=st.sampled_from(Existing))
def test_what_happened_between_the_dry_run_and_the_import_counts(
    app, monkeypatch, rows, clients, later, stopped, left, existing
):
    """Clients were made, changed and deleted, people left and came back: as if the file had been read only now."""
    monkeypatch.setattr(steps, "SIZE", 3)
    owner = an_owner(clients, stopped)
    found = make.check(taken_in(owner, rows), existing=existing, roles=["email", "full_name"])
    if not found.new + found.changed:
        return
    with transaction() as session:
        session.execute(delete(Client).where(Client.owner_id == owner.id))
        session.execute(delete(Suppression).where(Suppression.owner_id == owner.id))
        for address, name in later.items():
            session.add(Client(owner_id=owner.id, email=address, email_normalised=address, full_name=name))
        for address in left:
            reason = SuppressionReason.HARD_BOUNCE
            session.add(Suppression(owner_id=owner.id, email_normalised=address, reason=reason))
    states, afterwards = expected(rows, later, left, existing)
    found = make.start(found)
    assert names_of(owner) == afterwards
    assert counts(found) == Counter([*states, RowState.INVALID])


def test_a_slice_that_is_rolled_back_leaves_nothing_for_the_next(app, monkeypatch):
    """What is on its way to the ledger belongs to one transaction."""
    owner = factories.user()
    found = taken_in(owner, [("a@example.org", "Anna"), ("b@example.org", "Boris")])
    with transaction():
        found = db.session.get_one(type(found), found.id)
        imports.check(found, roles=["email", "full_name"], has_header=True, existing=Existing.KEEP)

    def fails(*_):
        raise ConnectionError("in the middle of a slice")

    with monkeypatch.context() as patched:
        patched.setattr(steps.ledger, "counts", fails)
        with pytest.raises(ConnectionError):
            importing.work_on(found.id, must_stop=lambda: False)
    assert states_of(found.id) == []
    assert counts(make.work(found)) == {RowState.NEW: 2, RowState.INVALID: 1}


def test_a_client_that_somebody_makes_at_the_same_moment_is_met_as_one_that_is_there(app):
    """His transaction is still open when the import asks, and closes while the import waits for it."""
    owner = factories.user()
    if db.engine.dialect.name == "sqlite":
        pytest.skip("one writes at a time")
    found = make.check(taken_in(owner, [("a@example.org", "From the file"), ("b@example.org", "B")]))
    with db.engine.connect() as other:
        values = {"owner_id": owner.id, "email": "a@example.org", "email_normalised": "a@example.org"}
        other.execute(Client.__table__.insert().values(**values, full_name="By hand"))

        threading.Timer(0.5, other.commit).start()
        found = make.start(found)
    assert names_of(owner) == {"a@example.org": "By hand", "b@example.org": "B"}
    assert counts(found) == {RowState.NEW: 1, RowState.UNCHANGED: 1, RowState.INVALID: 1}
    with read() as connection:
        assert connection.scalar(select(Client.import_id).where(Client.email == "a@example.org")) is None


def test_undoing_leaves_who_signed_up_by_himself_since(app):
    owner = factories.user()
    done = make.run(owner, "email;name\nboris@example.org;Boris\nvera@example.org;Vera\n")
    assert signed_up(save(owner)) is Turn.CONFIRMED
    make.undo(done)
    assert set(make.clients_of(owner)) == {"boris@example.org"}


def test_undoing_leaves_who_took_over_somebody_else_since(app):
    owner = factories.user()
    done = make.run(owner, "email;name\nanna@example.org;Anna\n")
    by_hand = factories.client(owner, email="anna+news@example.org", full_name="")
    kept = db.session.scalars(select(Client).where(Client.email_normalised == "anna@example.org")).one()
    with transaction():
        duplicates.merge(owner, keep_id=kept.id, ids=[by_hand.id])
    make.undo(done)
    assert set(make.clients_of(owner)) == {"anna@example.org"}


def test_what_is_kept_about_clients_is_made_anew_after_an_import_and_its_undoing(app, redis):
    owner = factories.user()

    def known():
        return caching.remembered("number", lambda: len(make.clients_of(owner)), topics=[caching.Topic.CLIENTS])

    assert known() == 0
    done = make.run(owner, "email;name\nboris@example.org;Boris\n")
    assert known() == 1
    make.undo(done)
    assert known() == 0
