import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.errors import Invalid
from mailservice.models import Client
from mailservice.sending.conditions import Conditions
from mailservice.services import many_clients, tags
from mailservice.services.many_clients import Act, Chosen
from tests import factories


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(many_clients, "SLICE", 3)


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def ten(owner):
    """Ten clients of the owner, and one of a stranger among them."""
    made = [factories.client(owner, email=f"c{n}@example.org") for n in range(5)]
    factories.client(factories.user(), email="c9@example.org")
    return [*made, *(factories.client(owner, email=f"c{n}@example.net") for n in range(5))]


def do(owner, chosen, act, named="", *, steps=None):
    """All slices, or so many: how many clients each was about."""
    after, until, done = 0, many_clients.last_id(owner), []
    while after is not None and (steps is None or len(done) < steps):
        with transaction():
            number, after = many_clients.step(owner, chosen, act, named=named, after=after, until=until)
        done.append(number)
    return done


def carriers(owner):
    db.session.rollback()
    everyone = db.session.scalars(select(Client).where(Client.owner_id == owner.id).order_by(Client.id)).all()
    found = tags.of_clients([client.id for client in everyone])
    return {client.email: found[client.id] for client in everyone if client.id in found}


def test_all_who_meet_the_conditions_are_tagged_slice_by_slice(owner, ten):
    chosen = Chosen(wanted=Conditions(domains=("example.net",)))
    assert many_clients.count(owner, chosen) == 5
    done = do(owner, chosen, Act.TAG, "VIP, New")
    assert sum(done) == 5
    assert len(done) == 4
    assert carriers(owner) == {f"c{n}@example.net": ["New", "VIP"] for n in range(5)}
    do(owner, chosen, Act.TAG, "vip")
    assert len(tags.listed(owner)) == 2


def test_an_act_that_changes_who_is_meant_reaches_everybody_once(owner, ten):
    vip = factories.tag(owner, "VIP", *ten)
    assert sum(do(owner, Chosen(wanted=Conditions(any_tags=(vip.id,))), Act.UNTAG, "VIP")) == 10
    assert carriers(owner) == {}


def test_the_ticked_are_those_and_no_others(owner, ten):
    stranger = factories.user()
    theirs = factories.client(stranger)
    chosen = Chosen(ids=(ten[0].id, ten[7].id, theirs.id, 2**70, -1))
    assert many_clients.count(owner, chosen) == 2
    assert sum(do(owner, chosen, Act.TAG, "VIP")) == 2
    assert list(carriers(owner)) == ["c0@example.org", "c2@example.net"]
    do(owner, chosen, Act.UNTAG, "VIP")
    assert carriers(owner) == {}
    do(owner, chosen, Act.DELETE)
    assert many_clients.count(owner, Chosen()) == 8
    assert db.session.get(Client, theirs.id) is not None


def test_what_was_stopped_half_way_goes_on_where_it_stopped(owner, ten):
    do(owner, Chosen(), Act.DELETE, steps=2)
    assert many_clients.count(owner, Chosen()) == 4
    do(owner, Chosen(), Act.DELETE)
    assert many_clients.count(owner, Chosen()) == 0


def test_who_is_added_after_an_act_began_is_left_out(owner, ten):
    until = many_clients.last_id(owner)
    late = factories.client(owner)
    after = 0
    while after is not None:
        with transaction():
            _, after = many_clients.step(owner, Chosen(), Act.DELETE, named="", after=after, until=until)
    assert db.session.scalars(select(Client.id).where(Client.owner_id == owner.id)).all() == [late.id]


@pytest.mark.parametrize(("act", "named"), [(Act.TAG, " , "), (Act.UNTAG, ""), (Act.UNTAG, "Unknown")])
def test_an_act_needs_tags_to_be_about(owner, act, named):
    with pytest.raises(Invalid) as refused:
        many_clients.check(owner, act, named=named)
    assert refused.value.field == "named"


def test_nobody_ticked_is_told():
    for ids in ((), tuple(range(1, 1002))):
        with pytest.raises(Invalid):
            Chosen(ids=ids)
