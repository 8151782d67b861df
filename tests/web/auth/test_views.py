import re
from datetime import timedelta

import argon2
import pytest
from rq.job import Job as RqJob
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Event, User
from mailservice.queues import QueueName, queue
from mailservice.services import passwords
from tests import factories
from tests.factories import PASSWORD, post

NEW = {"email": "anna@example.org", "full_name": "Anna", "password": PASSWORD}


def rung():
    """The letters that workers have been asked for: (kind, user's id)."""
    jobs: list[RqJob] = queue(QueueName.ACCOUNTS).get_jobs()
    return [tuple(job.args[:2]) for job in jobs]


def number_of_users():
    return db.session.scalar(select(func.count()).select_from(User))


def without_address(page):
    return re.sub(r'[\w.]+@example\.org|name="csrf_token" value="[^"]+"', "", page.text)


def test_registering_makes_an_unconfirmed_user_and_asks_for_one_letter(browser):
    page = post(browser, "/register", NEW)
    assert page.status_code == 200
    assert "anna@example.org" in page.text
    user = db.session.scalars(select(User)).one()
    assert not user.is_confirmed
    assert user.password_hash.startswith("$argon2id$")
    assert rung() == [("confirm", user.id)]


def test_registering_a_known_address_says_the_same_and_writes_to_its_owner(browser):
    unknown = post(browser, "/register", NEW | {"email": "new@example.org"})
    owner = factories.user(email="anna@example.org")
    known = post(browser, "/register", NEW | {"email": "ANNA@example.org"})
    assert (known.status_code, without_address(known)) == (unknown.status_code, without_address(unknown))
    assert number_of_users() == 2
    assert rung()[-1] == ("exists", owner.id)


def test_no_token_is_in_redis(browser, redis):
    post(browser, "/register", NEW)
    (job,) = queue(QueueName.ACCOUNTS).get_jobs()
    assert list(job.args) == ["confirm", db.session.scalars(select(User.id)).one(), 0, None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "nonsense"),
        ("email", "a@example.org\r\nBcc: b@example.org"),
        ("email", "anna\x00@example.org"),
        ("email", "x" * 100_000),
        ("full_name", "Anna\r\nBcc: victim@example.org"),
        ("full_name", "=?utf-8?q?Anna=0D=0ABcc:_victim@example.org?="),
        ("full_name", "Anna\x00"),
        ("full_name", "x" * 201),
        ("password", ""),
        ("password", "short"),
        ("password", "12345678"),
        ("password", "anna@example.org"),
        ("password", "x" * 1025),
    ],
)
def test_bad_input_is_told_beside_its_field_and_the_rest_is_kept(browser, field, value):
    page = post(browser, "/register", NEW | {field: value})
    assert page.status_code == 422
    assert f'id="{field}-error"' in page.text
    kept = {"email": "anna@example.org", "full_name": "Anna"}
    assert all(f'value="{text}"' in page.text for name, text in kept.items() if name != field)
    assert PASSWORD not in page.text
    assert number_of_users() == 0
    assert rung() == []


def test_all_wrong_fields_are_told_at_once(browser):
    page = post(browser, "/register", {"email": "x", "full_name": "=?a?b?c?=", "password": "x"})
    assert page.text.count("invalid-feedback") == 3


def test_signing_in_and_out(browser):
    factories.user(email="anna@example.org")
    page = post(browser, "/sign-in", {"email": "Anna@example.org", "password": PASSWORD})
    assert (page.status_code, page.location) == (302, "/")
    assert "anna@example.org" in browser.get("/").text
    assert post(browser, "/sign-out").status_code == 302
    assert browser.get("/clients").location.startswith("/sign-in")


def test_a_copied_cookie_opens_nothing_after_signing_out(app, browser):
    factories.user(email="anna@example.org")
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD, "remember": "y"})
    thief = app.test_client()
    thief.set_cookie("session", browser.get_cookie("session").value)
    assert thief.get("/clients").status_code == 200
    post(browser, "/sign-out")
    assert thief.get("/clients").location.startswith("/sign-in")


def test_the_cookie_of_before_signing_in_is_not_the_one_of_after(app, browser):
    """Nobody can hand a browser a session and find it signed in later."""
    factories.user(email="anna@example.org")
    browser.get("/sign-in")
    planted = browser.get_cookie("session").value
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD})
    thief = app.test_client()
    thief.set_cookie("session", planted)
    assert thief.get("/clients").location.startswith("/sign-in")


@pytest.mark.parametrize(("remember", "days"), [("y", 14), ("", None)])
def test_who_wants_to_stay_signed_in_keeps_the_cookie_for_two_weeks(browser, remember, days):
    factories.user(email="anna@example.org")
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD, "remember": remember})
    expires = browser.get_cookie("session").expires
    assert (days is None) == (expires is None)
    assert days is None or abs(expires - clock.now() - timedelta(days=days)) < timedelta(minutes=1)


def test_signing_in_and_out_are_events_with_their_network_address(browser):
    user = factories.user(email="anna@example.org")
    data = {"email": "anna@example.org", "password": PASSWORD}
    post(browser, "/sign-in", data, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    post(browser, "/sign-out")
    events = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert [(e.action, e.actor_id) for e in events] == [("signed_in", user.id), ("signed_out", user.id)]
    assert events[0].address == "192.0.2.7"


def test_signing_in_begins_a_new_session(browser):
    factories.user(email="anna@example.org")
    with browser.session_transaction() as session:
        session["planted"] = "by a stranger"
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD})
    with browser.session_transaction() as session:
        assert "planted" not in session


def test_a_wrong_password_and_an_unknown_address_get_the_same_page(browser):
    factories.user(email="anna@example.org")
    pages = [
        post(browser, "/sign-in", {"email": email, "password": "a wrong password"})
        for email in ("anna@example.org", "nobody@example.org")
    ]
    assert [page.status_code for page in pages] == [422, 422]
    assert without_address(pages[0]) == without_address(pages[1])


def test_a_blocked_user_is_told_at_the_door_and_thrown_out_at_once(browser):
    user = factories.user(email="anna@example.org")
    factories.sign_in(browser, user)
    assert browser.get("/clients").status_code == 200
    with transaction():
        db.session.get(User, user.id).blocked_at = clock.now()
    assert browser.get("/clients").location.startswith("/sign-in")
    page = post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD})
    assert page.status_code == 422
    assert "blocked" in page.text or "заблокирован" in page.text


@pytest.fixture
def hashed(monkeypatch):
    """What Argon2 is asked to do; each time costs the same."""
    asked = []

    class Counting(argon2.PasswordHasher):
        def hash(self, *args):
            asked.append("hash")
            return super().hash(*args)

        def verify(self, *args):
            asked.append("verify")
            return super().verify(*args)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=1, memory_cost=8, parallelism=1))
    return asked


@pytest.mark.parametrize(
    ("url", "data", "price"),
    [
        ("/sign-in", {"password": "a wrong password"}, 1),
        ("/register", {"password": "a new password"}, 1),
        ("/forgot", {}, 0),
    ],
)
def test_a_known_address_costs_as_many_hashes_as_an_unknown_one(browser, hashed, url, data, price):
    factories.user(email="anna@example.org")
    counts = []
    for email in ("anna@example.org", "nobody@example.org"):
        hashed.clear()
        post(browser, url, data | {"email": email})
        counts.append(len(hashed))
    assert counts == [price, price]


@pytest.mark.parametrize(
    ("target", "reached"),
    [
        ("/clients?q=a", "/clients?q=a"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_signing_in_one_goes_on_only_within_this_site(browser, target, reached):
    user = factories.user(email="anna@example.org")
    data = {"email": "anna@example.org", "password": PASSWORD, "next": target}
    assert post(browser, "/sign-in", data).location == reached
    factories.sign_in(browser, user)
    assert browser.get("/sign-in", query_string={"next": target}).location == reached


def test_the_page_that_was_asked_for_comes_after_signing_in(browser):
    factories.user(email="anna@example.org")
    door = browser.get(browser.get("/clients?page=2").location)
    kept = re.search(r'id="next"[^>]*value="([^"]*)"', door.text)[1]
    data = {"email": "anna@example.org", "password": PASSWORD, "next": kept}
    assert post(browser, "/sign-in", data).location == "/clients?page=2"


def test_an_unconfirmed_user_looks_around_with_a_notice_and_may_ask_for_the_letter(browser):
    user = factories.user(confirmed=False)
    factories.sign_in(browser, user)
    assert "/resend" in browser.get("/clients").text
    assert post(browser, "/resend").status_code == 302
    assert rung() == [("confirm", user.id)]


def test_a_confirmed_user_needs_no_letter(browser):
    factories.sign_in(browser, factories.user())
    assert "/resend" not in browser.get("/clients").text
    post(browser, "/resend")
    assert rung() == []


@pytest.mark.parametrize("url", ["/register", "/sign-in", "/sign-out", "/language", "/resend", "/forgot"])
def test_no_form_is_taken_from_another_site(browser, url):
    factories.sign_in(browser, factories.user())
    if url == "/sign-in":
        browser.delete_cookie("session")
    assert browser.post(url, data={"language": "en"}).status_code == 400


def test_the_language_is_chosen_by_a_form_and_stays(browser):
    user = factories.user(language="ru")
    factories.sign_in(browser, user)
    answer = post(browser, "/language", {"language": "en", "next": "/clients?q=1"})
    assert answer.location == "/clients?q=1"
    assert 'lang="en"' in browser.get("/clients").text
    assert db.session.get(User, user.id).language == "en"
    assert post(browser, "/language", {"language": "en", "next": "//evil.example"}).location == "/"
    assert post(browser, "/language", {"language": "xx"}).status_code == 400


def test_a_visitor_chooses_the_language_too(browser):
    post(browser, "/language", {"language": "en"})
    assert '<html lang="en"' in browser.get("/sign-in").text
    post(browser, "/language", {"language": "ru"})
    assert '<html lang="ru"' in browser.get("/sign-in").text


@pytest.mark.parametrize("url", ["/register", "/sign-in", "/forgot", "/language"])
@pytest.mark.parametrize("value", ["\x00", "\ufffd", "x" * 1_000_000, "' OR 1=1 --", "{{ 7*7 }}", "<script>"])
def test_nonsense_never_breaks_a_form(browser, url, value):
    names = ("email", "full_name", "password", "next", "language", "remember")
    page = post(browser, url, dict.fromkeys(names, value))
    assert page.status_code in {200, 400, 413, 422}
    assert '<script>"' not in page.text


def test_who_registers_again_before_confirming_chooses_the_password_by_letter(browser):
    post(browser, "/register", NEW)
    post(browser, "/register", NEW)
    user = db.session.scalars(select(User)).one()
    assert rung() == [("confirm", user.id), ("reset", user.id)]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        ("", "Europe/Moscow"),
        ("Mars/Base", "Europe/Moscow"),
        ("../x\x00", "Europe/Moscow"),
    ],
)
def test_a_new_account_has_the_zone_of_its_browser(app, browser, said, kept):
    default = app.config["SETTINGS"].default_time_zone
    assert "data-time-zone" in browser.get("/register").text
    assert post(browser, "/register", NEW | {"time_zone": said}).status_code == 200
    assert db.session.scalars(select(User.time_zone)).one() == (default if kept == "Europe/Moscow" else kept)


@pytest.mark.parametrize("url", ["/mailings/1/delete", "/sign-out", "/language", "/no/such/page"])
def test_after_signing_in_one_never_lands_on_what_takes_only_forms(browser, url):
    factories.user(email="anna@example.org")
    data = {"email": "anna@example.org", "password": PASSWORD, "next": url}
    assert post(browser, "/sign-in", data).location == "/"
