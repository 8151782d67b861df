import re

import pytest
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import User
from mailservice.queues import QueueName, queue
from mailservice.services import tokens
from mailservice.services.tokens import Purpose
from tests import factories
from tests.factories import PASSWORD, post

CHOSEN = {"password": "a password of the owner's"}


def link(app, user, purpose):
    token = tokens.make(user, purpose=purpose, secret=app.config["SECRET_KEY"])
    return f"/{purpose}/{token}"


def test_opening_the_link_changes_nothing_and_the_button_confirms_once(app, browser):
    user = factories.user(confirmed=False)
    url = link(app, user, Purpose.CONFIRM)
    assert browser.get(url).status_code == 200
    assert browser.head(url).status_code == 200
    assert not db.session.get(User, user.id).is_confirmed
    assert post(browser, url, CHOSEN).location == "/sign-in"
    assert db.session.get(User, user.id).is_confirmed
    assert browser.get(url).status_code == 410
    assert post(browser, url, CHOSEN).status_code == 410


def test_confirming_signs_nobody_in(app, browser):
    post(browser, link(app, factories.user(confirmed=False), Purpose.CONFIRM), CHOSEN)
    assert browser.get("/clients").location.startswith("/sign-in")


def registered(app, browser):
    """The address of the link in the letter after a registration in this browser."""
    post(browser, "/register", {"email": "anna@example.org", "password": PASSWORD})
    return link(app, db.session.scalars(select(User)).one(), Purpose.CONFIRM)


def opens(app, password):
    page = post(app.test_client(), "/sign-in", {"email": "anna@example.org", "password": password})
    return page.status_code == 302


def test_one_click_confirms_in_the_browser_that_registered(app, browser):
    url = registered(app, browser)
    assert 'name="password"' not in browser.get(url).text
    assert post(browser, url).location == "/sign-in"
    assert opens(app, PASSWORD)


def test_one_click_confirms_where_one_is_signed_in(app, browser):
    url = registered(app, app.test_client())
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD})
    assert post(browser, url).location == "/"
    assert browser.get("/clients").status_code == 200
    assert "/resend" not in browser.get("/clients").text


def test_a_stranger_who_registered_first_loses_password_and_session_to_the_owner(app, browser):
    stranger, owner = browser, app.test_client()
    url = registered(app, stranger)
    post(stranger, "/sign-in", {"email": "anna@example.org", "password": PASSWORD})
    assert stranger.get("/clients").status_code == 200
    assert 'name="password"' in owner.get(url).text
    assert post(owner, url).status_code == 422  # not by a click alone
    assert post(owner, url, CHOSEN).location == "/sign-in"
    assert stranger.get("/clients").location.startswith("/sign-in")
    assert not opens(app, PASSWORD)
    assert opens(app, CHOSEN["password"])


def test_who_only_tried_to_register_again_chose_no_password(app, browser):
    url = registered(app, app.test_client())
    post(browser, "/register", {"email": "anna@example.org", "password": "the owner's own one"})
    assert 'name="password"' in browser.get(url).text


def test_the_browser_that_registered_is_told_nothing_about_the_address(app, browser):
    def cookie(email):
        post(browser, "/register", {"email": email, "password": PASSWORD})
        with browser.session_transaction() as session:
            return set(session), len(session["registered"])

    factories.user(email="anna@example.org")
    assert cookie("anna@example.org") == cookie("new@example.org")


@pytest.mark.parametrize("path", ["/confirm/", "/reset/"])
@pytest.mark.parametrize("token", ["x", "a.b.c", "%00", "й", "x" * 5000])
def test_a_void_link_says_so(browser, path, token):
    assert browser.get(path + token).status_code == 410
    assert post(browser, path + token, {"password": PASSWORD}).status_code == 410


def test_a_token_opens_only_its_own_door(app, browser):
    user = factories.user(confirmed=False)
    confirm = link(app, user, Purpose.CONFIRM).replace("/confirm/", "/reset/")
    reset = link(app, user, Purpose.RESET).replace("/reset/", "/confirm/")
    assert browser.get(confirm).status_code == 410
    assert browser.get(reset).status_code == 410


def test_asking_for_a_new_password_is_the_same_for_every_address(browser):
    user = factories.user(email="anna@example.org")

    def asked(email):
        page = post(browser, "/forgot", {"email": email})
        return page.status_code, re.sub(r'[\w.]+@example\.org|value="[^"]+"', "", page.text)

    assert asked("anna@example.org") == asked("nobody@example.org")
    jobs = [tuple(job.args[:2]) for job in queue(QueueName.ACCOUNTS).get_jobs()]
    assert jobs == [("reset", user.id), ("reset", 0)]


def test_a_new_password_is_set_once_and_ends_the_sessions(app, browser):
    user = factories.user(email="anna@example.org")
    elsewhere = factories.sign_in(app.test_client(), user)
    url = link(app, user, Purpose.RESET)
    assert post(browser, url, {"password": "a brand new one"}).location == "/sign-in"
    assert elsewhere.get("/clients").location.startswith("/sign-in")
    assert post(browser, url, {"password": "yet another one"}).status_code == 410
    data = {"email": "anna@example.org", "password": "a brand new one"}
    assert post(browser, "/sign-in", data).status_code == 302


@pytest.mark.parametrize("password", ["", "short", "password1", "anna@example.org", "x" * 2000])
def test_a_bad_new_password_is_told_beside_its_field(app, browser, password):
    user = factories.user(email="anna@example.org")
    key = user.session_key
    page = post(browser, link(app, user, Purpose.RESET), {"password": password})
    assert page.status_code == 422
    assert 'id="password-error"' in page.text
    assert db.session.get(User, user.id).session_key == key


def test_the_page_with_a_token_tells_no_other_site(app, browser):
    page = browser.get(link(app, factories.user(), Purpose.RESET))
    assert page.headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert page.headers["Cache-Control"] == "no-store"
