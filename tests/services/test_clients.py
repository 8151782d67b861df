import threading

import pytest
from sqlalchemy import func, select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound
from mailservice.models import Client, ClientSource, User, mailing_clients
from mailservice.sending.conditions import Conditions
from mailservice.services import clients
from tests import factories


def create(owner, email="boris@example.org", **values):
    with transaction():
        return clients.create(owner, **({"email": email, "full_name": "", "comment": ""} | values))


def test_a_client_is_kept_as_given_and_compared_in_one_form(app):
    client = create(factories.user(), " Boris@Example.ORG ", full_name=" Boris ", comment="a\r\nb")
    assert (client.email, client.email_normalised) == ("Boris@Example.ORG", "boris@example.org")
    assert (client.full_name, client.comment) == ("Boris", "a\nb")
    assert client.source is ClientSource.BY_HAND


def test_an_owner_has_an_address_once_and_another_owner_may_have_it_too(app):
    owner = factories.user()
    create(owner, "boris@example.org")
    with pytest.raises(Invalid) as refused:
        create(owner, "BORIS@example.org")
    assert refused.value.field == "email"
    create(factories.user(), "boris@example.org")


def test_two_browsers_that_add_one_address_at_once_make_one_client(app):
    owner_id = factories.user().id
    outcomes = []

    def run():
        with app.app_context():
            try:
                create(db.session.get(User, owner_id))
                outcomes.append("made")
            except Invalid as error:
                outcomes.append(error.field)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["email", "email", "email", "made"]


def test_a_change_keeps_the_address_unique_and_its_own_is_no_obstacle(app):
    owner = factories.user()
    taken, client = create(owner, "a@example.org"), create(owner, "b@example.org")
    with transaction():
        changed = clients.change(clients.own(owner, client.id), email="B@example.org", full_name="New", comment="")
    assert (changed.email, changed.full_name) == ("B@example.org", "New")
    with pytest.raises(Invalid), transaction():
        clients.change(clients.own(owner, client.id), email=taken.email, full_name="Lost", comment="")
    assert clients.own(owner, client.id).full_name == "New"


@pytest.mark.parametrize("client_id", [0, -1, 2**31, 2**63 - 1, 2**63, 10**30])
def test_any_number_is_at_worst_no_client(app, client_id):
    with pytest.raises(NotFound):
        clients.own(factories.user(), client_id)


def test_somebody_elses_client_does_not_exist(app):
    client = factories.client(factories.user())
    with pytest.raises(NotFound):
        clients.own(factories.user(), client.id)


def test_a_deleted_client_leaves_its_mailings(app):
    owner = factories.user()
    client, other = factories.client(owner), factories.client(owner)
    factories.mailing(owner, clients=[client, other])
    with transaction():
        clients.delete(clients.own(owner, client.id))
    assert db.session.scalars(select(mailing_clients.c.client_id)).all() == [other.id]
    assert db.session.scalar(select(func.count()).select_from(Client)) == 1


def test_the_list_is_the_owners_and_can_be_searched(app):
    owner = factories.user()
    anna = factories.client(owner, full_name="Анна", email="anna@example.org")
    boris = factories.client(owner, full_name="Борис", comment="Likes Tea")
    factories.client(factories.user(), full_name="Анна")

    def found(words):
        return [c.id for c in clients.search(owner, wanted=Conditions(words=words), number=1, size=50).items]

    assert found("") == [anna.id, boris.id]
    assert found("анна") == [anna.id]
    assert found("ANNA@") == [anna.id]
    assert found("tea") == [boris.id]
    assert found("nothing") == []
