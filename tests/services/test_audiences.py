import threading

import pytest
from sqlalchemy import delete, insert, select

from mailservice.database import db, transaction
from mailservice.errors import Invalid
from mailservice.models import Client, mailing_clients
from mailservice.services import audiences
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def clients(owner):
    return [factories.client(owner, email=f"{name}@example.org") for name in ("anna", "boris", "clara")]


def ids(rows):
    return frozenset(row.id for row in rows)


def members(mailing):
    return set(
        db.session.scalars(
            select(Client.email)
            .join(mailing_clients, mailing_clients.c.client_id == Client.id)
            .where(mailing_clients.c.mailing_id == mailing.id)
        )
    )


def test_addresses_are_pasted_one_a_line_in_any_case_and_with_commas(owner, clients):
    audience = audiences.chosen(owner, pasted="  ANNA@example.org \r\n\r\nboris@example.org, clara@example.org\n")
    assert audience.client_ids == ids(clients)


def test_an_international_domain_is_found_as_it_is_written(owner):
    there = factories.client(owner, email="anna@пример.рф", email_normalised="anna@xn--e1afmkfd.xn--p1ai")
    assert audiences.chosen(owner, pasted="Anna@ПРИМЕР.рф").client_ids == {there.id}


def test_unknown_addresses_are_named(owner, clients):
    with pytest.raises(Invalid) as error:
        audiences.chosen(owner, pasted="anna@example.org\nnobody@example.org\nnonsense\x00")
    assert error.value.field == "pasted"
    assert "nobody@example.org" in error.value.message
    assert "nonsense" in error.value.message
    assert "anna@" not in error.value.message


def test_a_thousand_unknown_addresses_make_a_short_message(owner):
    with pytest.raises(Invalid) as error:
        audiences.chosen(owner, pasted="\n".join(f"n{i}@example.org" for i in range(1000)))
    assert "990" in error.value.message
    assert len(error.value.message) < 500


def test_somebody_elses_clients_can_be_neither_pasted_nor_ticked(owner, clients):
    stranger = factories.client(factories.user(), email="stranger@example.org")
    with pytest.raises(Invalid, match="stranger@"):
        audiences.chosen(owner, pasted="stranger@example.org")
    for wrong in (stranger.id, -1, 2**63, 2**70):
        with pytest.raises(Invalid) as error:
            audiences.chosen(owner, pasted="", ticked=[clients[0].id, wrong])
        assert error.value.field == "ticked"


def test_pasted_and_ticked_add_up(owner, clients):
    audience = audiences.chosen(owner, pasted="anna@example.org", ticked=[clients[0].id, clients[2].id])
    assert audience.client_ids == ids([clients[0], clients[2]])


def test_everyone_is_all_clients_of_the_owner_and_no_others(owner, clients):
    factories.client(factories.user())
    mailing = factories.mailing(owner, clients=[])
    with transaction():
        audiences.assign(mailing, audiences.everyone())
    assert members(mailing) == {"anna@example.org", "boris@example.org", "clara@example.org"}


def test_an_assigned_audience_replaces_the_one_before(owner, clients):
    mailing = factories.mailing(owner, clients=clients[:2])
    with transaction():
        audiences.assign(mailing, audiences.chosen(owner, pasted="clara@example.org"))
    assert members(mailing) == {"clara@example.org"}
    assert audiences.count(mailing) == 1


def test_members_are_read_page_by_page_in_the_order_in_which_they_became_clients(owner):
    emails = [f"{name}@example.org" for name in ("zoe", "anna", "mike", "boris", "clara")]
    mailing = factories.mailing(owner, clients=[factories.client(owner, email=email) for email in emails])
    for words in ("", "example"):
        read = [audiences.members(mailing, words=words, number=n, size=2) for n in (1, 2, 3, 4)]
        assert [[c.email for c in page.items] for page in read] == [emails[:2], emails[2:4], emails[4:], emails[4:]]
        assert {page.total for page in read} == {5}


def test_nobody_is_no_audience(owner, clients):
    mailing = factories.mailing(owner, clients=clients)
    with pytest.raises(Invalid) as error, transaction():
        audiences.assign(mailing, audiences.chosen(owner, pasted=""))
    assert error.value.field == "audience"
    assert audiences.count(mailing) == 3


def test_a_small_audience_is_shown_as_text_and_a_large_one_is_not(owner, clients):
    mailing = factories.mailing(owner, clients=clients)
    assert audiences.as_text(mailing) == "anna@example.org\nboris@example.org\nclara@example.org"
    many = [
        {"owner_id": owner.id, "email": f"c{i}@example.org", "email_normalised": f"c{i}@example.org"}
        for i in range(audiences.EDITABLE)
    ]
    with transaction() as session:
        session.execute(insert(Client), many)
        audiences.assign(mailing, audiences.everyone())
    assert audiences.as_text(mailing) is None


def test_a_search_offers_a_limited_number(owner, clients):
    assert [c.email for c in audiences.find(owner, "CLA")] == ["clara@example.org"]
    assert len(audiences.find(owner, "")) == 3
    assert audiences.find(owner, "%") == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)  # SQLite has one writer
@pytest.mark.parametrize("act", ["assign", "copy"])
def test_who_is_being_deleted_at_this_moment_is_left_out(app, owner, clients, act):
    source, mailing = factories.mailing(owner, clients=clients), factories.mailing(owner, clients=[])
    gone = clients[0].id
    with db.engine.connect() as other:
        deleting = other.begin()
        other.execute(delete(mailing_clients).where(mailing_clients.c.client_id == gone))
        other.execute(delete(Client).where(Client.id == gone))
        ending = threading.Timer(0.5, deleting.commit)
        ending.start()
        with transaction():
            if act == "assign":
                audiences.assign(mailing, audiences.everyone())
            else:
                audiences.copy(source, mailing)
        ending.join()
    assert members(mailing) == {client.email for client in clients[1:]}
