from mailservice.database import db
from mailservice.models import Client, Tag
from mailservice.services import tags
from tests import factories
from tests.factories import post


def names():
    db.session.rollback()
    return sorted(tag.name for tag in db.session.query(Tag))


def test_tags_are_written_on_a_clients_form_and_shown_in_the_list(owner, browser):
    post(browser, "/clients/new", {"email": "anna@example.org", "tags": "VIP, <b>Москва</b>"})
    listed = browser.get("/clients").text
    assert 'href="/clients?any=VIP"' in listed
    assert "&lt;b&gt;Москва&lt;/b&gt;" in listed
    assert "<b>Москва" not in listed
    client = db.session.query(Client).one()
    assert "VIP" in browser.get(f"/clients/{client.id}/edit").text
    page = post(browser, f"/clients/{client.id}/edit", {"email": "anna@example.org", "tags": "x" * 61})
    assert page.status_code == 422
    assert 'id="tags-error"' in page.text
    post(browser, f"/clients/{client.id}/edit", {"email": "anna@example.org", "tags": ""})
    assert tags.of_clients([client.id]) == {}


def test_a_tag_is_renamed_merged_and_deleted(owner, browser):
    anna = factories.client(owner)
    vip, best = factories.tag(owner, "VIP", anna), factories.tag(owner, "Best")
    page = post(browser, f"/clients/tags/{vip.id}/rename", {"name": "BEST"})
    assert page.status_code == 422
    assert "There is a tag with this name" in page.text
    assert post(browser, f"/clients/tags/{vip.id}/rename", {"name": "Vip"}).location == "/clients/tags"
    assert names() == ["Best", "Vip"]
    assert post(browser, f"/clients/tags/{vip.id}/merge", {"into": vip.id}).status_code == 422
    assert post(browser, f"/clients/tags/{vip.id}/merge", {"into": best.id}).location == "/clients/tags"
    assert names() == ["Best"]
    assert tags.of_clients([anna.id]) == {anna.id: ["Best"]}
    factories.saved_filter(owner, "Regulars", any_tags=[best.id])
    assert "Regulars" in post(browser, f"/clients/tags/{best.id}/delete", follow_redirects=True).text
    assert names() == ["Best"]


def test_a_tag_that_nobody_asks_for_is_deleted(owner, browser):
    tag = factories.tag(owner, "VIP", factories.client(owner))
    assert post(browser, f"/clients/tags/{tag.id}/delete").location == "/clients/tags"
    assert names() == []
    assert "No tags yet" in browser.get("/clients/tags").text


def test_somebody_elses_tag_is_not_found_and_stays(owner, browser):
    theirs, mine = factories.tag(factories.user(), "VIP"), factories.tag(owner, "Mine")
    assert browser.get(f"/clients/tags/{theirs.id}").status_code == 404
    for path, values in (("rename", {"name": "X"}), ("merge", {"into": mine.id}), ("delete", {})):
        assert post(browser, f"/clients/tags/{theirs.id}/{path}", values).status_code == 404
    assert post(browser, f"/clients/tags/{mine.id}/merge", {"into": theirs.id}).status_code == 422
    assert names() == ["Mine", "VIP"]
