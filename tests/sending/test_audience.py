"""Whom attempts write to when mailings use saved filters."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, event, insert, select

from mailservice import clock
from mailservice.database import db, transaction, write
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Client,
    Delivery,
    Mailing,
    MailingStatus,
    Reason,
    client_tags,
    mailing_filters,
)
from mailservice.sending import batches
from tests import factories, invariants
from tests.engine import attempt_of, change, run_senders


@pytest.fixture
def owner(app):
    return factories.user()


def filtered_mailing(owner, *filters, clients=(), **values):
    """A daily mailing that is due now and uses these filters."""
    values = {"next_at": clock.now() - timedelta(seconds=1), "next_occurrence": 0} | values
    start = values["next_at"].replace(tzinfo=None)
    mailing = factories.mailing(owner, clients=list(clients), start_local=start, **values)
    rows = [{"mailing_id": mailing.id, "filter_id": f.id, "owner_id": owner.id} for f in filters]
    with transaction() as session:
        session.execute(insert(mailing_filters), rows)
    return mailing


def audiences_by_occurrence(mailing):
    db.session.rollback()
    query = (
        select(Attempt.occurrence, Delivery.email)
        .join(Delivery, Delivery.attempt_id == Attempt.id)
        .where(Attempt.mailing_id == mailing.id)
        .order_by(Attempt.occurrence, Delivery.email)
    )
    found: dict[int, list[str]] = {}
    for occurrence, email in db.session.execute(query):
        found.setdefault(occurrence, []).append(email.partition("@")[0])
    return found


def untag(client):
    with transaction() as session:
        session.execute(delete(client_tags).where(client_tags.c.client_id == client.id))


def carry(tag, client):
    with transaction() as session:
        session.execute(insert(client_tags), [{"client_id": client.id, "tag_id": tag.id, "owner_id": tag.owner_id}])


def test_clients_join_and_leave_a_recurring_mailing_by_themselves(owner, mail_server, time_machine):
    anna, boris, clara, dora = (
        factories.client(owner, email=f"{n}@example.org") for n in ("anna", "boris", "clara", "dora")
    )
    vip = factories.tag(owner, "VIP", anna, boris)
    stranger = factories.user()
    factories.tag(stranger, "VIP", factories.client(stranger, email="stranger@example.org"))
    saved = factories.saved_filter(owner, any_tags=[vip.id])
    mailing = filtered_mailing(owner, saved, clients=[boris, dora])  # boris by both, once
    run_senders()
    untag(anna)
    carry(vip, clara)
    time_machine.move_to(clock.now() + timedelta(days=1))
    run_senders()
    with transaction() as session:
        session.execute(delete(Client).where(Client.id == clara.id))
    carry(vip, factories.client(owner, email="eva@example.org"))
    change(db.session.get(type(saved), saved.id), name="Renamed")
    time_machine.move_to(clock.now() + timedelta(days=1))
    run_senders()
    assert audiences_by_occurrence(mailing) == {
        0: ["anna", "boris", "dora"],
        1: ["boris", "clara", "dora"],
        2: ["boris", "dora", "eva"],
    }
    assert sorted(letter.recipient.partition("@")[0] for letter in mail_server.accepted) == sorted(
        ["anna", "boris", "dora", "boris", "clara", "dora", "boris", "dora", "eva"]
    )
    invariants.assert_hold(letter.message_id for letter in mail_server.accepted)


def test_who_did_not_get_this_very_mailing_gets_it_once(owner, mail_server, time_machine):
    factories.client(owner, email="anna@example.org")
    saved = factories.saved_filter(owner)
    mailing = filtered_mailing(owner, saved)
    change(db.session.get(type(saved), saved.id), conditions={"not_got": mailing.id})
    for _ in range(2):
        run_senders()
        time_machine.move_to(clock.now() + timedelta(days=1))
    factories.client(owner, email="boris@example.org")
    run_senders()
    assert audiences_by_occurrence(mailing) == {0: ["anna"], 2: ["boris"]}


def test_filters_that_overlap_give_each_address_one_delivery(owner):
    anna, boris = factories.client(owner, email="anna@example.org"), factories.client(owner, email="boris@example.org")
    vip = factories.tag(owner, "VIP", anna)
    saved = [
        factories.saved_filter(owner, "VIP", any_tags=[vip.id]),
        factories.saved_filter(owner, "Domain", domains=["example.org"]),
        factories.saved_filter(owner, "Everybody"),
    ]
    mailing = filtered_mailing(owner, *saved, clients=[anna, boris])
    run_senders()
    assert audiences_by_occurrence(mailing) == {0: ["anna", "boris"]}


def test_filters_that_mean_nobody_leave_the_occurrence_out(owner, time_machine):
    vip = factories.tag(owner, "VIP")
    mailing = filtered_mailing(owner, factories.saved_filter(owner, any_tags=[vip.id]), clients=[])
    factories.client(owner)
    run_senders()
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason, attempt.audience) == (AttemptStatus.SKIPPED, Reason.EMPTY, 0)
    assert db.session.get(Mailing, mailing.id).status is MailingStatus.RUNNING
    anna = factories.client(owner, email="anna@example.org")
    carry(vip, anna)
    time_machine.move_to(clock.now() + timedelta(days=1))
    run_senders()
    assert audiences_by_occurrence(mailing) == {1: ["anna"]}


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(batches, "SIZE", 5)
    monkeypatch.setattr(batches, "SLICE", 10)


def many(owner, count):
    return [factories.client(owner, email=f"c{n:03}@example.org") for n in range(count)]


def planned(mailing):
    with transaction() as session:
        attempt = Attempt(mailing_id=mailing.id, owner_id=mailing.owner_id, occurrence=0, due_at=clock.now())
        session.add(attempt)
    return attempt.id


def prepare(attempt_id, *, slices=None):
    """Prepares so many slices, or all; whether there is more."""
    more, done = True, 0
    while more and (slices is None or done < slices):
        with write() as connection:
            more = batches.prepare_slice(connection, attempt_id, sender="a@example.org", now=clock.now())
        done += 1
    return more


class Killed(BaseException):
    """The process is gone, and its transaction with it."""


def prepare_and_die(attempt_id):
    with write() as connection:
        batches.prepare_slice(connection, attempt_id, sender="a@example.org", now=clock.now())
        raise Killed


def test_killed_between_and_amid_slices_the_preparation_goes_on_without_loss_or_doubling(owner, small_slices):
    clients = many(owner, 35)
    factories.client(factories.user(), email="stranger@example.org")
    vip = factories.tag(owner, "VIP", *clients[::2])
    mailing = filtered_mailing(owner, factories.saved_filter(owner, any_tags=[vip.id]), clients=clients[:4])
    attempt_id = planned(mailing)
    assert prepare(attempt_id, slices=2)
    with pytest.raises(Killed):
        prepare_and_die(attempt_id)
    db.session.rollback()
    assert len(audiences_by_occurrence(mailing)[0]) == 12  # 10 even ones of 20, and two odd ones of the list
    prepare(attempt_id)
    expected = sorted({c.email.partition("@")[0] for c in (*clients[:4], *clients[::2])})
    assert audiences_by_occurrence(mailing) == {0: expected}
    db.session.rollback()
    attempt = db.session.get(Attempt, attempt_id)
    assert (attempt.status, attempt.audience) == (AttemptStatus.SENDING, len(expected))
    invariants.assert_hold([])


def test_conditions_and_their_moment_are_frozen_with_the_first_slice(owner, small_slices, time_machine):
    clients = many(owner, 25)
    saved = factories.saved_filter(owner, added_days=7)
    mailing = filtered_mailing(owner, saved)
    attempt_id = planned(mailing)
    prepare(attempt_id, slices=1)
    change(db.session.get(type(saved), saved.id), conditions={"words": "nobody at all"})
    time_machine.move_to(clock.now() + timedelta(days=30))
    prepare(attempt_id)
    assert len(audiences_by_occurrence(mailing)[0]) == len(clients)


def test_a_slice_asks_about_so_many_clients_however_few_are_meant(owner, small_slices):
    clients = many(owner, 30)
    mailing = filtered_mailing(owner, factories.saved_filter(owner, words="c029"))
    attempt_id = planned(mailing)
    assert prepare(attempt_id, slices=3)
    db.session.rollback()
    assert db.session.get(Attempt, attempt_id).prepared_to == clients[-1].id
    assert audiences_by_occurrence(mailing) == {0: ["c029"]}


def test_a_slice_reads_no_table_as_a_whole(owner, small_slices):
    """However few rows there are for the moment, and whatever the database makes of that: on PostgreSQL."""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite joins by index alone")
    clients = many(owner, 25)
    earlier = factories.mailing(owner, clients=clients)
    tag = factories.tag(owner, "VIP", *clients)
    filters = [factories.saved_filter(owner, "a", any_tags=[tag.id], standing="mailable")]
    filters += [factories.saved_filter(owner, name, **{name: earlier.id}) for name in ("got", "not_got")]
    attempt_id = planned(filtered_mailing(owner, *filters))
    plans = []

    def explain(connection, cursor, statement, parameters, *_):
        if statement.startswith("INSERT INTO deliveries"):
            aside = cursor.connection.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(row[0] for row in aside))

    event.listen(db.engine, "before_cursor_execute", explain)
    try:
        prepare(attempt_id)
    finally:
        event.remove(db.engine, "before_cursor_execute", explain)
    assert len(plans) == 3
    for plan in plans:
        assert "uq_results_final" in plan
        for much in ("Seq Scan", "Hash Join", "Merge Join", "ix_deliveries_attempt_id_batch"):
            assert much not in plan
