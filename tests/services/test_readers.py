import pytest

from mailservice.services import readers
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user(full_name="Anna Petrova", email="anna@shop.example")


def test_a_client_is_found_by_address_or_by_a_part_of_the_name(owner):
    factories.client(owner, email="boris@example.org", full_name="Boris Ivanov", comment="regular")
    factories.client(owner, email="xboris@example.org", full_name="Another")
    assert readers.find(owner, "BORIS@example.org") == ("Boris Ivanov", "boris@example.org", "regular")
    assert readers.find(owner, "ivan") == ("Boris Ivanov", "boris@example.org", "regular")
    for nobody in ("nobody", "", "   ", "%", "\x00", "nobody@example.org"):
        assert readers.find(owner, nobody) is None


def test_only_ones_own_clients_are_offered_and_only_some(owner):
    factories.client(factories.user(), email="theirs@example.org")
    for number in range(readers.OFFERED + 2):
        factories.client(owner, email=f"mine{number}@example.org")
    assert readers.find(owner, "theirs@example.org") is None
    offered = readers.offer(owner, "example.org")
    assert len(offered) == readers.OFFERED
    assert all(client.owner_id == owner.id for client in offered)


def test_the_example_is_the_owner_and_the_emptiest_has_an_address_alone(owner):
    assert readers.example(owner).full_name == "Anna Petrova"
    assert readers.emptiest().email
    assert (readers.emptiest().full_name, readers.emptiest().comment) == ("", "")
