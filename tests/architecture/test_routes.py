"""Closed by default: what answers anybody is listed here, and every other door leads to the sign-in page."""

from __future__ import annotations

import hashlib
import re

import pytest
from sqlalchemy import select, text

from mailservice.database import db, read
from mailservice.models import User
from mailservice.web import security
from tests import factories
from tests.web import routes
from tests.web.routes import UNSAFE, Things

# Endpoints that answer without signing in. A new one needs a thought, and a line here.
PUBLIC = {
    "static",
    "bootstrap.static",
    "home.index",
    "auth.confirm",
    "auth.forgot",
    "auth.language",
    "auth.register",
    "auth.reset",
    "auth.sign_in",
    "auth.sign_out",
    "blog.feed",
    "blog.image",
    "blog.index",
    "blog.robots",
    "blog.show",
    "blog.sitemap",
    "health.healthz",
    "health.readyz",
    "messages.image",
    "unsubscribe.show",
    "unsubscribe.take_back",
    "unsubscribe.unsubscribe",
    "unsubscribe.say_why",
    "join.ask",
    "join.confirm",
    "join.look",
    "join.show",
}
# Mail providers post here (RFC 8058): the signed token in the address stands for the form's.
WITHOUT_CSRF = {"unsubscribe.unsubscribe", "unsubscribe.take_back", "unsubscribe.say_why"}
# Owners' own sites post here; the letter's link stands for the form's token, and is one itself.
WITHOUT_CSRF |= {"join.ask", "join.confirm"}
# What a GET may write.
WRITES_ON_GET: set[str] = set()
# That a session is in use, once a minute.
WRITTEN_BY_ANY_REQUEST = {"sessions.last_seen_at", "sessions.expires_at"}

BIG = [0, 2**31, 2**63 - 1, 2**63, 2**64, 10**30]
ODD = ["-1", "0", "abc", "", "1e9", "٣", "9" * 30, "\x00", "%_\\'", "\ud800", "💌" * 300, "<b>"]
ASKED = (
    *("q", "page", "size", "state", "outcome", "mailing", "message", "after", "before", "code", "enhanced"),
    *("any", "all", "none", "domain", "since", "until", "days", "got", "missed", "by"),
    *("reason", "exact", "next", "back", "sort"),
    *("why", "to", "from", "attempt"),
)


@pytest.fixture
def things(app) -> Things:
    return routes.make_things(factories.user(is_editor=True))


@pytest.fixture
def owners_browser(browser, things):
    return factories.sign_in(browser, things.owner)


def snapshot() -> dict[str, tuple[int, str]]:
    """For each table, how many rows it has and a hash of them all."""
    with read() as connection:
        tables = {}
        for table in db.metadata.sorted_tables:
            kept = [column for column in table.columns if str(column) not in WRITTEN_BY_ANY_REQUEST]
            rows = sorted(map(repr, connection.execute(select(*kept))))
            tables[table.name] = len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return tables


def test_what_is_public_is_what_the_list_says(app):
    assert {endpoint for endpoint in app.view_functions if security.is_public(app, endpoint)} == PUBLIC


def test_nobody_is_led_to_the_sign_in_page_from_every_private_route(app, browser, things):
    before = snapshot()
    open_doors = []
    for rule, method, path in routes.requests(app, things):
        if rule.endpoint in PUBLIC:
            continue
        answer = routes.send(browser, method, path)
        if answer.status_code != 302 or not answer.location.startswith("/sign-in"):
            open_doors.append(f"{method} {path}: {answer.status}")
    assert open_doors == []
    assert snapshot() == before


def test_every_unsafe_method_needs_the_forms_token(app, owners_browser, things):
    before = snapshot()
    passed = [
        f"{method} {path}: {answer.status}"
        for rule, method, path in routes.requests(app, things, only=UNSAFE)
        if rule.endpoint not in WITHOUT_CSRF and (answer := owners_browser.open(path, method=method)).status_code != 400
    ]
    assert passed == []
    assert snapshot() == before


def test_the_token_of_another_session_is_not_accepted(app, owners_browser, things):
    stolen = factories.csrf_token(app.test_client())
    path = f"/clients/{things.client_id}/delete"
    assert owners_browser.post(path, data={"csrf_token": stolen}).status_code == 400


def test_unsafe_methods_are_post_alone(app):
    assert {m for rule in routes.rules(app) for m in routes.methods(rule)} <= {"GET", "HEAD", "POST"}


def test_a_get_changes_nothing(app, owners_browser, things):
    before = snapshot()
    changed = []
    for rule, method, path in routes.requests(app, things, only=("GET",)):
        answer = owners_browser.open(path, method=method)
        head = owners_browser.head(path)
        if head.status_code != answer.status_code or head.data:
            changed.append(f"HEAD {path}: {head.status}")
        is_open = things.owner.role in routes.access(rule).roles
        if is_open and answer.status_code >= 400 and rule.endpoint not in ("health.readyz", "auth.confirm"):
            changed.append(f"{method} {path}: {answer.status}")
        if rule.endpoint not in WRITES_ON_GET and snapshot() != before:
            changed.append(f"{method} {path} changed the database")
            before = snapshot()
    assert changed == []


def test_every_answer_carries_the_security_headers(app, owners_browser, things):
    paths = [path for _, _, path in routes.requests(app, things, only=("GET",))]
    naked = []
    for browser in (app.test_client(), owners_browser):
        answers = {path: browser.get(path) for path in [*paths, "/no-such-page", "/static/no-such-file", "/sign-out"]}
        answers["post"] = browser.post("/clients/new")
        answers["delete"] = browser.delete("/")
        for path, answer in answers.items():
            for header, value in (
                ("Content-Security-Policy", "default-src 'none'"),
                ("Content-Security-Policy", "frame-ancestors"),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", ""),
                ("Cross-Origin-Opener-Policy", "same-origin"),
            ):
                if value not in answer.headers.get(header, "missing"):
                    naked.append(f"{path} ({answer.status}): {header}")
            if answer.mimetype == "text/html" and "preview" not in path:
                assert "unsafe" not in answer.headers["Content-Security-Policy"], path
    assert naked == []


def test_ids_that_no_database_can_hold_are_not_found(app, owners_browser, things):
    wrong = []
    for rule in routes.rules(app):
        if not routes.names_a_row(rule):
            continue
        for method in routes.methods(rule):
            for number in BIG:
                path = routes.address(app, rule, dict.fromkeys(rule.arguments, number))
                answer = routes.send(owners_browser, method, path)
                if answer.status_code != 404:
                    wrong.append(f"{method} {path}: {answer.status}")
    assert wrong == []


def test_whatever_stands_in_the_query_no_page_breaks(app, owners_browser, things):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    broken = []
    for rule, _, path in routes.requests(app, things, only=("GET",)):
        if rule.endpoint.endswith("static"):
            continue
        for turn in range(0, len(ODD), 4):  # each name meets a value of its own, so that none hides another's fault
            values = {name: ODD[(turn + 3 * n) % len(ODD)] for n, name in enumerate(ASKED)}
            query = {name: odd.encode("utf-8", "surrogatepass") for name, odd in values.items()}
            answer = owners_browser.get(path, query_string=query)
            if answer.status_code >= 500 and rule.endpoint != "health.readyz":
                broken.append(f"{path} with {values}: {answer.status}")
    assert broken == []


def test_whatever_a_form_sends_no_page_breaks(app, owners_browser, things):
    """Every field of every form, and every button's address, with text that nobody would type by mistake."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    broken = []
    for rule in routes.rules(app):
        if "POST" not in routes.methods(rule):
            continue
        fresh = routes.make_things(things.owner)  # the one before may be deleted by now
        path = routes.address(app, rule, fresh.arguments(rule))
        fields = set(re.findall(r'name="([^"]+)"', owners_browser.get(path).text)) - {"csrf_token", "viewport"}
        for odd in ("\x00", "\ud800", "💌" * 3000, "-1", str(2**64), "2024-02-30", "9999-12-31", "../../etc/passwd"):
            data = dict.fromkeys(fields | {"next", "language"}, odd.encode("utf-8", "surrogatepass"))
            data |= {"csrf_token": factories.csrf_token(owners_browser)}
            answer = owners_browser.post(path, data=data)
            if answer.status_code >= 500:
                broken.append(f"{path} with {odd[:20]!r} in {sorted(fields)}: {answer.status}")
            if answer.status_code == 302:
                factories.sign_in(owners_browser, things.owner)  # some of them sign out
    assert broken == []


def test_a_body_that_is_too_big_is_refused_and_not_read(app, owners_browser, things):
    before = snapshot()
    body = f"csrf_token={factories.csrf_token(owners_browser)}&body={'x' * 5_000_000}".encode()
    for _, _, path in routes.requests(app, things, only=("POST",)):
        answer = owners_browser.post(path, data=body, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == 413, path
    assert snapshot() == before


def test_forged_and_broken_tokens_open_nothing(app, owners_browser, things, time_machine):
    time_machine.move_to(factories.clock.now(), tick=False)  # so that two tokens for the same purpose are the same
    before = snapshot()
    right = {rule.endpoint: things.arguments(rule) for rule in routes.rules(app) if "token" in rule.arguments}
    every = {arguments["token"] for arguments in right.values()}
    for rule in routes.rules(app):
        if "token" not in rule.arguments:
            continue
        real = right[rule.endpoint]["token"]
        forged = [real[:-3] + "AAA", real[:10], "x", ".", "a.b.c", "A" * 5000, "\x00", "привет", "💌"]
        for token in [*forged, *(every - {real})]:  # those made for another purpose, too
            path = routes.address(app, rule, {"token": token})
            for method in routes.methods(rule):
                answer = routes.send(owners_browser, method, path)
                assert answer.status_code in (404, 410), f"{method} {path}: {answer.status}"
    assert snapshot() == before


def test_the_session_of_a_blocked_or_vanished_user_opens_nothing(app, browser, things):
    factories.sign_in(browser, things.owner)
    assert browser.get("/clients").status_code == 200
    with factories.transaction() as session:
        session.get(User, things.owner.id).blocked_at = factories.clock.now()
    assert browser.get("/clients").status_code == 302
    with factories.transaction() as session:
        session.execute(text("UPDATE users SET blocked_at = NULL, session_key = 'another'"))
    assert browser.get("/clients").status_code == 302
