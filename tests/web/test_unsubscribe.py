import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.models import Client, Suppression
from mailservice.sending import unsubscribe_token
from tests import factories

ADDRESS = "boris@example.org"


@pytest.fixture
def owner(app):
    return factories.user(full_name="Shop")


@pytest.fixture
def url(app, owner):
    factories.client(owner, email=ADDRESS)
    key = unsubscribe_token.key(app.config["SECRET_KEY"])
    return "/u/" + unsubscribe_token.token(key, owner.id, ADDRESS)


def suppressed():
    return db.session.scalars(select(Suppression.email_normalised)).all()


def test_following_the_link_changes_nothing(browser, url):
    answer = browser.get(url)
    assert answer.status_code == 200
    assert ADDRESS in answer.text
    assert "Shop" in answer.text
    assert suppressed() == []


def test_a_mail_providers_one_click_unsubscribes_without_cookies_or_csrf_token(browser, url):
    answer = browser.post(url, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert suppressed() == [ADDRESS]
    assert browser.post(url, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert suppressed() == [ADDRESS]


def test_the_button_of_the_page_unsubscribes_and_offers_a_way_back(browser, url):
    page = browser.post(url, follow_redirects=True)
    assert f'action="{url}/back"' in page.text
    assert suppressed() == [ADDRESS]
    browser.post(url + "/back", follow_redirects=True)
    assert suppressed() == []


def test_the_link_works_after_the_client_is_deleted(browser, url):
    with transaction() as session:
        session.delete(session.scalars(select(Client)).one())
    assert browser.post(url).status_code == 303
    assert suppressed() == [ADDRESS]


@pytest.mark.parametrize("ending", ["x", "A", "%00", "%F0%9F%98%80"])
def test_a_wrong_token_gets_a_clear_page_and_changes_nothing(browser, url, ending):
    for wrong in (url[:-3] + ending, "/u/" + ending):
        for answer in (browser.get(wrong), browser.post(wrong), browser.post(wrong + "/back")):
            assert answer.status_code == 404
    assert suppressed() == []


def test_the_token_leaves_in_no_referrer_and_no_cache(browser, url):
    headers = browser.get(url).headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
