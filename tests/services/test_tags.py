import threading

import pytest

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import SavedFilter, Tag, User
from mailservice.services import clients, tags
from tests import factories


@pytest.fixture
def owner(app):
    return factories.user()


def tagged(owner, client, text):
    with transaction():
        clients.change(clients.own(owner, client.id), email=client.email, full_name="", comment="", tagged=text)
    return tags.of_clients([client.id]).get(client.id, [])


def test_names_are_separated_by_commas_and_the_same_in_any_case():
    assert tags.parse(" VIP, Москва ,vip,\nмосква,, New  York ") == ["VIP", "Москва", "New York"]


@pytest.mark.parametrize("text", ["x" * 61, "a\x00b", "ﷺ" * 60, ", ".join(f"t{n}" for n in range(51))])
def test_what_is_no_name_is_told_beside_the_field(app, text):
    with app.test_request_context(), pytest.raises(Invalid) as refused:
        tags.parse(text)
    assert refused.value.field in ("tags", "name")


def test_a_client_gets_tags_and_loses_them(owner):
    client = factories.client(owner)
    assert tagged(owner, client, "VIP, Moscow") == ["Moscow", "VIP"]
    assert tagged(owner, client, "vip, Tver") == ["Tver", "VIP"]
    assert tagged(owner, client, "") == []
    assert [line.name for line in tags.listed(owner)] == ["Moscow", "Tver", "VIP"]


def test_tags_are_counted_and_each_owner_has_his_own(owner):
    stranger = factories.user()
    factories.tag(stranger, "VIP", factories.client(stranger))
    vip = factories.tag(owner, "VIP", factories.client(owner), factories.client(owner))
    assert tags.listed(owner) == [tags.Line(vip.id, "VIP", 2)]
    with pytest.raises(NotFound):
        tags.own(stranger, vip.id)


def test_two_browsers_that_make_one_tag_at_once_make_it_once(app, owner):
    owner_id = owner.id

    def run():
        with app.app_context(), transaction():
            tags.ensure(db.session.get(User, owner_id), ["VIP"])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert [line.name for line in tags.listed(owner)] == ["VIP"]


def test_a_tag_is_renamed_but_not_to_what_another_one_is_called(owner):
    vip, _ = factories.tag(owner, "VIP"), factories.tag(owner, "Москва")
    with transaction():
        tags.rename(owner, tags.own(owner, vip.id), name="vip")
    assert db.session.get(Tag, vip.id).name == "vip"
    for wrong in ("МОСКВА", "a, b", " "):
        with pytest.raises(Invalid) as refused, transaction():
            tags.rename(owner, tags.own(owner, vip.id), name=wrong)
        assert refused.value.field == "name"


def test_merged_tags_are_carried_once_and_filters_ask_for_the_one_that_stays(owner):
    anna, boris = factories.client(owner), factories.client(owner)
    vip, best = factories.tag(owner, "VIP", anna, boris), factories.tag(owner, "Best", boris)
    saved = factories.saved_filter(owner, any_tags=[vip.id, best.id], no_tags=[vip.id])
    with transaction():
        tags.merge(owner, tags.own(owner, vip.id), into=tags.own(owner, best.id))
    assert tags.listed(owner) == [tags.Line(best.id, "Best", 2)]
    assert db.session.get(SavedFilter, saved.id).conditions == {"any_tags": [best.id], "no_tags": [best.id]}
    with pytest.raises(Invalid), transaction():
        tags.merge(owner, tags.own(owner, best.id), into=tags.own(owner, best.id))


def test_a_tag_that_a_saved_filter_asks_for_is_not_deleted(owner):
    vip = factories.tag(owner, "VIP", factories.client(owner))
    saved = factories.saved_filter(owner, "Regulars", no_tags=[vip.id])
    with pytest.raises(Refused, match="Regulars"), transaction():
        tags.delete(owner, tags.own(owner, vip.id))
    with transaction() as session:
        session.delete(session.get(SavedFilter, saved.id))
    with transaction():
        assert tags.delete(owner, tags.own(owner, vip.id)) == "VIP"
    assert tags.listed(owner) == []
