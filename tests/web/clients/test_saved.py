from datetime import date

import pytest

from mailservice.database import db
from mailservice.models import SavedFilter, mailing_filters
from mailservice.services import filters
from tests import factories
from tests.factories import post


@pytest.fixture
def anna(owner):
    return factories.client(owner, email="anna@example.org", full_name="Anna Petrova")


def saved():
    db.session.rollback()
    return [(row.name, row.conditions) for row in db.session.query(SavedFilter)]


def test_what_the_list_is_filtered_by_becomes_a_saved_filter(owner, browser, anna):
    tag = factories.tag(owner, "VIP", anna)
    page = browser.get("/clients?any=vip&domain=@Example.org&days=30&q=ann")
    assert 'href="/clients/filters/new?any=vip&amp;domain=@Example.org&amp;days=30&amp;q=ann"' in page.text
    form = browser.get("/clients/filters/new?any=vip&domain=@Example.org&days=30&q=ann").text
    assert 'value="vip"' in form
    assert "Anna Petrova" in form
    values = {"name": "Regulars", "any": "vip", "domain": "@Example.org", "days": "30", "q": "ann"}
    assert post(browser, "/clients/filters/new", values).location == "/clients/filters"
    conditions = {"words": "ann", "any_tags": [tag.id], "domains": ["example.org"], "added_days": 30}
    assert saved() == [("Regulars", conditions)]
    assert "in the last 30 days" in browser.get("/clients/filters").text


def test_a_saved_filter_comes_back_into_its_form_and_is_changed(owner, browser):
    mailing = factories.mailing(owner, title="Digest")
    row = factories.saved_filter(owner, got=mailing.id, added_from="2026-01-02", standing="mailable")
    url = f"/clients/filters/{row.id}/edit"
    page = browser.get(url).text
    assert 'value="2026-01-02"' in page
    assert f'<option selected value="{mailing.id}">Digest' in page
    values = {"name": "Others", "missed": str(mailing.id), "until": "2026-03-01", "state": "suppressed"}
    assert post(browser, url, values).location == "/clients/filters"
    conditions = {"added_until": "2026-03-01", "time_zone": "UTC", "not_got": mailing.id, "standing": "suppressed"}
    assert saved() == [("Others", conditions | {"time_zone": owner.time_zone})]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("any", "Unknown"),
        ("all", "x" * 61),
        ("none", "a\x00"),
        ("domain", "no domain at all"),
        ("since", "yesterday"),
        ("since", "1970-01-01"),
        ("until", "2025-12-31"),
        ("days", "0"),
        ("days", "9" * 30),
        ("got", "77"),
        ("got", "x"),
        ("missed", str(2**70)),
        ("state", "blue"),
        ("name", ""),
        ("name", "x" * 101),
        ("name", "Taken"),
    ],
)
def test_bad_input_is_told_beside_its_field_and_saves_nothing(owner, browser, field, value):
    factories.saved_filter(owner, "Taken")
    values = {"name": "Regulars", "q": "kept words", "since": "2026-01-01"} | {field: value}
    page = post(browser, "/clients/filters/new", values)
    assert page.status_code == 422
    assert "invalid-feedback" in page.text
    assert 'value="kept words"' in page.text
    assert len(saved()) == 1
    if field != "name":
        assert browser.get("/clients", query_string={field: value, "since": values["since"]}).status_code == 200
        assert browser.get("/clients/filters/preview", query_string={field: value}).status_code == 200


def test_the_preview_says_how_many_match_now(owner, browser, anna):
    factories.client(factories.user(), full_name="Stranger")
    assert "<b>1</b> client" in browser.get("/clients/filters/preview?domain=example.org").text
    page = browser.get("/clients/filters/preview?q=nobody").text
    assert "Nobody now" in page
    assert "<html" not in page
    page = post(browser, "/clients/filters/new", {"q": "anna", "preview": "1", "name": "Kept"})
    assert "Anna Petrova" in page.text
    assert 'value="Kept"' in page.text
    assert saved() == []


def test_a_filter_in_use_stays_and_its_mailings_are_named(owner, browser):
    row = factories.saved_filter(owner, "Regulars")
    mailing = factories.mailing(owner, title="Digest")
    with factories.transaction() as session:
        values = {"mailing_id": mailing.id, "filter_id": row.id, "owner_id": owner.id}
        session.execute(factories.insert(mailing_filters), [values])
    page = post(browser, f"/clients/filters/{row.id}/delete", follow_redirects=True)
    assert "Digest" in page.text
    assert "Choose other clients there first" in page.text
    post(browser, f"/mailings/{mailing.id}/delete")
    post(browser, f"/clients/filters/{row.id}/delete")
    assert saved() == []


def test_somebody_elses_filter_is_not_found(owner, browser):
    row = factories.saved_filter(factories.user())
    assert browser.get(f"/clients/filters/{row.id}/edit").status_code == 404
    for path in ("edit", "delete"):
        assert post(browser, f"/clients/filters/{row.id}/{path}", {"name": "Mine"}).status_code == 404
    assert [name for name, _ in saved()] == ["Regulars"]


def test_a_mailing_uses_a_filter_and_its_page_says_who_matches(owner, browser, anna):
    row = factories.saved_filter(owner, "Regulars", words="anna")
    other = factories.saved_filter(factories.user(), "Foreign")
    form = browser.get("/mailings/new").text
    assert "Regulars" in form
    assert "Foreign" not in form
    values = {
        "title": "Digest",
        "message_id": factories.message(owner).id,
        "start_date": date(2099, 1, 1).isoformat(),
        "start_time": "10:00",
        "time_zone": "UTC",
        "periodicity": "daily",
        "audience": "filtered",
        "filter_ids": [row.id],
    }
    assert post(browser, "/mailings/new", values | {"audience": "all"}).status_code == 422
    assert post(browser, "/mailings/new", values | {"filter_ids": [other.id]}).status_code == 422
    assert post(browser, "/mailings/new", values | {"filter_ids": []}).status_code == 422
    url = post(browser, "/mailings/new", values).location.removesuffix("/start")
    page = browser.get(url).text
    assert "anna@example.org" in page
    assert "asks anew" in page
    assert "by filter" in browser.get("/mailings").text
    form = browser.get(f"{url}/edit").text
    assert f'value="{row.id}" checked' in form
    post(browser, f"{url}/edit", values | {"filter_ids": [], "audience": "all"})
    assert "asks anew" not in browser.get(url).text


def test_the_list_takes_a_filter_about_a_mailing_that_is_too_old_to_be_offered(owner, browser, anna, monkeypatch):
    old = factories.mailing(owner, title="Spring sale", clients=[])
    factories.mailing(owner, title="Summer sale", clients=[])
    monkeypatch.setattr(filters, "OFFERED", 1)
    page = browser.get(f"/clients?missed={old.id}")
    assert "Anna Petrova" in page.text
    assert "Spring sale" in page.text
