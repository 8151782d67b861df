import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, Mailing, SavedFilter, User, mailing_filters
from mailservice.sending import audience as sending_audience
from mailservice.sending.conditions import Conditions
from mailservice.services import accounts, audiences, filters, leaving, mailing_lists, mailings
from tests import factories
from tests.services.test_mailings import create as create_mailing
from tests.services.test_mailings import update as update_mailing


@pytest.fixture
def owner(app):
    return factories.user()


def create(owner, name="Regulars", **conditions):
    with transaction():
        return filters.create(owner, name=name, wanted=Conditions(**conditions))


def using(owner, *saved, audience=None, **values):
    return create_mailing(owner, audience=audience or audiences.Audience(), filter_ids=[s.id for s in saved], **values)


def test_a_filter_means_whoever_meets_it_now(owner):
    saved = create(owner, words="anna")
    assert filters.look(owner, filters.conditions_of(saved)) == (0, [])
    anna = factories.client(owner, email="anna@example.org")
    count, found = filters.look(owner, filters.conditions_of(saved))
    assert (count, [c.id for c in found]) == (1, [anna.id])


def test_a_name_is_taken_once_in_any_case(owner):
    saved = create(owner, "Москва")
    create(factories.user(), "Москва")
    with pytest.raises(Invalid) as refused:
        create(owner, "МОСКВА")
    assert refused.value.field == "name"
    with transaction():
        filters.change(owner, filters.own(owner, saved.id), name="москва", wanted=Conditions(words="x"))
    assert filters.conditions_of(filters.own(owner, saved.id)) == Conditions(words="x")


def test_tags_and_mailings_of_others_cannot_stand_in_a_filter(owner):
    stranger = factories.user()
    tag, mailing = factories.tag(stranger, "VIP"), factories.mailing(stranger)
    for wrong in ({"any_tags": (tag.id,)}, {"no_tags": (tag.id,)}, {"got": mailing.id}, {"not_got": mailing.id}):
        with pytest.raises(Invalid):
            create(owner, **wrong)
    assert filters.listed(owner) == []


def test_somebody_elses_filter_does_not_exist(owner):
    saved = create(owner)
    with pytest.raises(NotFound):
        filters.own(factories.user(), saved.id)


def test_a_filter_that_mailings_use_is_not_deleted_and_they_are_named(owner):
    saved = create(owner)
    mailing = using(owner, saved, title="Digest")
    assert [line.mailings for line in filters.listed(owner)] == [[(mailing.id, "Digest")]]
    with pytest.raises(Refused, match="Digest"), transaction():
        filters.delete(owner, filters.own(owner, saved.id))
    with transaction():
        mailings.delete(mailings.own(owner, mailing.id, lock=True))
    with transaction():
        assert filters.delete(owner, filters.own(owner, saved.id)) == "Regulars"


def test_a_mailing_that_a_filter_asks_about_is_not_deleted(owner):
    mailing = factories.mailing(owner)
    create(owner, "Late", not_got=mailing.id)
    with pytest.raises(Refused, match="Late"), transaction():
        mailings.delete(mailings.own(owner, mailing.id, lock=True))


def test_a_mailing_with_a_filter_that_means_nobody_now_may_be_saved(owner):
    saved = create(owner, words="nobody at all")
    mailing = using(owner, saved)
    assert audiences.count(mailing) == 0
    with pytest.raises(Invalid) as refused:
        update_mailing(owner, mailing, filter_ids=[])
    assert refused.value.field == "audience"
    update_mailing(owner, mailing, title="Renamed")
    assert audiences.filter_ids_of(mailing) == [saved.id]


def test_list_and_filters_add_up_and_nobody_is_counted_twice(owner):
    anna, boris = (factories.client(owner, email=f"{name}@example.org") for name in ("anna", "boris"))
    factories.client(owner, email="clara@example.org")
    listed = audiences.Audience(client_ids=frozenset([anna.id, boris.id]))
    mailing = using(owner, create(owner, words="anna"), audience=listed)
    assert audiences.count(mailing) == 2
    assert audiences.count_listed(mailing) == 2
    assert [c.email for c in audiences.members(mailing).items] == ["anna@example.org", "boris@example.org"]
    line = mailing_lists.search(owner).items[0]
    assert (line.clients, line.filters) == (2, 1)


def test_a_mailing_takes_no_filter_of_somebody_else(owner):
    theirs = create(factories.user())
    for wrong in (theirs.id, 0, 2**63):
        with pytest.raises(Invalid) as refused:
            create_mailing(owner, audience=audiences.everyone(), filter_ids=[wrong])
        assert refused.value.field == "filter_ids"


def test_an_owner_who_leaves_takes_filters_in_use_along(owner):
    using(owner, create(owner))
    with transaction():
        user = db.session.get(User, owner.id)
        leaving.delete_account(user, proof=accounts.check_password(user, factories.PASSWORD), address=None)
    for table in (SavedFilter, Mailing, mailing_filters):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0


def test_all_at_once_or_slice_by_slice_the_same_clients_are_meant(owner):
    people = [factories.client(owner, full_name=f"Anna {number}") for number in range(6)]
    tag = factories.tag(owner, "VIP", *people[2:4])
    for listed, conditions in (
        ([], ({"any_tags": [tag.id]},)),
        (people[:3], ({"any_tags": [tag.id]}, {"words": "anna 5"})),
        (people[:1], ({"words": "nobody"},)),
    ):
        mailing = factories.mailing(owner, clients=listed)
        audience = sending_audience.read(mailing.id, owner.id, conditions, clock.now())
        whole = db.session.scalars(select(Client.id).where(sending_audience.members_at_once(audience, {})))
        between = (people[0].id, people[-1].id)
        sliced = db.session.scalars(select(Client.id).where(sending_audience.members(audience, between)))
        assert sorted(whole) == sorted(sliced)
