"""The defaults that nobody has to think of: sessions, cookies, headers, hosts."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from mailservice import clock
from mailservice.app import create_app
from mailservice.database import db
from mailservice.models import UserSession
from tests import factories
from tests.factories import PASSWORD, post


def test_no_cache_keeps_a_page_of_a_signed_in_person(browser):
    assert "Cache-Control" not in browser.get("/").headers
    factories.sign_in(browser, factories.user())
    for url in ("/", "/clients", "/clients/999", "/nowhere"):
        assert browser.get(url).headers["Cache-Control"] == "private, no-store"
    assert "no-store" not in browser.get("/static/app.css").headers["Cache-Control"]


@pytest.fixture
def asked(app):
    """The statements that the database has been asked since."""
    statements = []

    def note(_connection, _cursor, statement, *_):
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield statements
    event.remove(db.engine, "before_cursor_execute", note)


def test_who_is_signed_in_is_one_question_to_the_database(browser, asked):
    factories.sign_in(browser, factories.user())
    asked.clear()
    assert browser.get("/account/password").status_code == 200
    questions = [statement for statement in asked if not statement.startswith("BEGIN")]
    assert len(questions) == 1
    assert "sessions" in questions[0]
    assert "users" in questions[0]


def last_seen():
    db.session.rollback()
    return db.session.scalars(select(UserSession.last_seen_at)).one()


def test_that_a_session_is_in_use_is_written_down_once_a_minute(browser):
    began = clock.now()
    with time_machine.travel(began, tick=False):
        factories.sign_in(browser, factories.user())
    for seconds, seen in ((50, 0), (70, 70), (100, 70), (140, 140)):
        with time_machine.travel(began + timedelta(seconds=seconds), tick=False):
            browser.get("/clients")
        assert last_seen() == began + timedelta(seconds=seen)


def test_the_cookie_of_who_stays_signed_in_lives_on_with_the_session(browser):
    factories.user(email="anna@example.org")
    post(browser, "/sign-in", {"email": "anna@example.org", "password": PASSWORD, "remember": "y"})
    browser.get("/clients")
    for url in ("/clients", "/static/app.css"):
        assert "Set-Cookie" not in browser.get(url).headers
    with time_machine.travel(clock.now() + timedelta(days=13), tick=False):
        assert "Expires" in browser.get("/clients").headers["Set-Cookie"]
    with time_machine.travel(clock.now() + timedelta(days=26), tick=False):
        assert browser.get("/clients").status_code == 200


def test_a_database_that_is_too_busy_to_note_a_visit_refuses_no_page(browser, monkeypatch):
    """The driver is replaced by one that fails at writing, as when the database is locked."""
    factories.sign_in(browser, factories.user())
    real = db.engine.dialect.do_execute

    def fail(cursor, statement, *args, **kwargs):
        if statement.startswith("UPDATE"):
            raise OperationalError(statement, {}, Exception("database is locked"))
        return real(cursor, statement, *args, **kwargs)

    monkeypatch.setattr(db.engine.dialect, "do_execute", fail)
    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        assert browser.get("/clients").status_code == 200


@pytest.fixture
def production(make_settings):
    """An app as customers see it, behind one HTTPS proxy; it is asked nothing that needs the database."""
    app = create_app(
        make_settings(
            ENVIRONMENT="production",
            PUBLIC_URL="https://mail.shop.example",
            PROXY_COUNT=1,
            TRUSTED_HOSTS="lists.shop.example, .news.example",
        )
    )
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


def test_cookies_in_production_belong_to_this_host_and_to_https(production):
    cookie = production.get("/sign-in").headers["Set-Cookie"]
    assert cookie.startswith("__Host-session=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
    assert not [a for a in attributes if a.startswith("domain")]


@pytest.mark.parametrize("path", ["/sign-in", "/static/app.css", "/nowhere", "/sign-out", "/clients"])
def test_every_answer_in_production_insists_on_https(production, path):
    assert production.get(path).headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("mail.shop.example", True),
        ("mail.shop.example:443", True),
        ("lists.shop.example", True),
        ("eu.news.example", True),
        ("localhost:8000", True),
        ("127.0.0.1", True),
        ("evil.example", False),
        ("mail.shop.example.evil.example", False),
        ("evil.example#mail.shop.example", False),
        ("mail.shop.example@evil.example", False),
    ],
)
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_a_request_for_another_host_is_refused(production, host, known, header):
    answer = production.get("/sign-in", headers={header: host})
    assert answer.status_code == (200 if known else 400)
    assert "Content-Security-Policy" in answer.headers
    if not known:
        assert host not in answer.text
        assert "TRUSTED_HOSTS" in answer.text


def test_of_the_proxies_only_the_trusted_one_is_believed(production):
    with production as browser:
        browser.get("/healthz", headers={"X-Forwarded-For": "203.0.113.66, 192.0.2.1"})
        from flask import request

        assert request.remote_addr == "192.0.2.1"
        browser.get("/healthz", headers={"X-Forwarded-Proto": "http"})
        assert request.scheme == "http"
