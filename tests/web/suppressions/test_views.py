import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.models import Suppression, SuppressionReason
from tests import factories
from tests.factories import post

ADDRESS = "boris@example.org"


@pytest.fixture
def owner(browser):
    user = factories.user()
    factories.sign_in(browser, user)
    return user


def stop(owner, reason=SuppressionReason.BY_HAND, email=ADDRESS, **values):
    with transaction() as session:
        row = Suppression(owner_id=owner.id, email_normalised=email, reason=reason, **values)
        session.add(row)
    return f"/suppressions/{row.id}/lift"


def listed():
    return sorted(db.session.scalars(select(Suppression.email_normalised)))


def test_an_empty_list_says_who_comes_there_and_names_the_next_step(owner, browser):
    assert 'href="/suppressions/new"' in browser.get("/suppressions").text


def test_addresses_are_pasted_seen_found_and_taken_off_again(owner, browser):
    client = factories.client(owner, email=ADDRESS)
    page = post(browser, "/suppressions/new", {"pasted": f"{ADDRESS}\nvera@example.org", "note": "wrote to us"})
    assert page.location == "/suppressions"
    assert listed() == [ADDRESS, "vera@example.org"]
    page = browser.get("/suppressions").text
    assert "2 addresses are new on the stop list." in page
    assert f'href="/clients/{client.id}"' in page
    assert "wrote to us" in page
    found = browser.get("/suppressions?q=vera&reason=by_hand&sort=address").text
    assert "vera@example.org" in found
    assert ADDRESS not in found
    row = db.session.scalars(select(Suppression).where(Suppression.email_normalised == ADDRESS)).one()
    url = f"/suppressions/{row.id}/lift"
    assert "wrote to us" in browser.get(url).text
    assert post(browser, url, {"note": "he called"}).location == "/suppressions"
    assert listed() == ["vera@example.org"]


def test_what_is_wrong_stands_beside_its_field_and_the_typed_stays(owner, browser):
    page = post(browser, "/suppressions/new", {"pasted": "vera@example.org nonsense", "note": "a note"})
    assert page.status_code == 422
    assert 'id="pasted-error"' in page.text
    assert "vera@example.org nonsense" in page.text
    assert 'value="a note"' in page.text
    page = post(browser, stop(owner), {"note": " "})
    assert page.status_code == 422
    assert 'id="note-error"' in page.text
    assert listed() == [ADDRESS]


@pytest.mark.parametrize("reason", [SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT])
def test_who_left_by_himself_has_no_button_and_a_forged_form_lifts_nothing(owner, browser, reason):
    url = stop(owner, reason)
    page = browser.get(url)
    assert page.status_code == 200
    assert 'name="note"' not in page.text
    assert post(browser, url, {"note": "please"}).status_code == 422
    assert listed() == [ADDRESS]


def test_somebody_elses_entry_is_not_found(owner, browser):
    url = stop(factories.user())
    assert browser.get(url).status_code == 404
    assert post(browser, url, {"note": "mine"}).status_code == 404
    assert ADDRESS not in browser.get("/suppressions").text
    assert listed() == [ADDRESS]


@pytest.mark.parametrize("query", ["reason=nonsense", "sort=nonsense", "page=99", "q=%00", "reason=&sort="])
def test_any_query_gives_a_list(owner, browser, query):
    stop(owner)
    assert browser.get(f"/suppressions?{query}").status_code == 200


def test_why_somebody_left_is_shown_as_text(owner, browser):
    stop(owner, SuppressionReason.UNSUBSCRIBED, leaving="too_often", said="<b>enough</b>")
    page = browser.get("/suppressions").text
    assert "The letters come too often" in page
    assert "&lt;b&gt;enough" in page
