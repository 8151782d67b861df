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


@pytest.mark.parametrize(
    ("owners", "browsers", "heading"),
    [
        ("en", "", "Unsubscribe?"),
        ("ru", "", "Отписаться?"),
        ("ru", "en-GB,en;q=0.9", "Unsubscribe?"),
        ("en", "ru,en;q=0.5", "Отписаться?"),
        ("ru", "de,fr;q=0.5", "Отписаться?"),
    ],
)
def test_the_page_speaks_the_readers_language_or_else_the_senders(app, browser, owners, browsers, heading):
    key = unsubscribe_token.key(app.config["SECRET_KEY"])
    token = unsubscribe_token.token(key, factories.user(language=owners).id, ADDRESS)
    page = browser.get(f"/u/{token}", headers={"Accept-Language": browsers} if browsers else {})
    assert f"<h1>{heading}</h1>" in page.text


def test_who_left_may_say_why_and_the_owner_reads_it(browser, owner, url):
    page = browser.post(url, follow_redirects=True)
    assert f'action="{url}/why"' in page.text
    told = browser.post(url + "/why", data={"leaving": "too_often", "said": "Once a day!"}, follow_redirects=True)
    assert "the sender will read it" in told.text
    client = db.session.scalars(select(Client)).one()
    page = factories.sign_in(browser, owner).get(f"/clients/{client.id}").text
    assert "The letters come too often: “Once a day!”" in page


def test_a_reason_that_is_no_text_is_told_beside_its_field(browser, url):
    browser.post(url)
    page = browser.post(url + "/why", data={"leaving": "nonsense", "said": "x" * 1001})
    assert page.status_code == 422
    assert 'id="said-error"' in page.text
    assert db.session.scalars(select(Suppression.said)).one() == ""


def test_only_who_has_left_says_why(browser, url):
    assert browser.post(url + "/why", data={"said": "Hello"}).status_code == 303
    assert suppressed() == []
