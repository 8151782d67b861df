"""Whatever a form sends, no page breaks: thousands of requests to every form, made up by Hypothesis.

FUZZ_REQUESTS=100000 makes it so many.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from werkzeug.routing import Rule

from mailservice.extensions import limiter
from mailservice.models import Role
from tests import factories
from tests.architecture.test_routes import ASKED
from tests.web import routes
from tests.web.routes import Things

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "10000"))
PARTS = {"sqlite": 16, "postgresql": 5}  # each on an empty database, so that none lasts long
AT_ONCE = 20  # requests in one example
SHARE = {"sqlite": 0.8, "postgresql": 0.2}
# What a person might type, by the name of the field; each request replaces some of it.
SENSIBLE = {
    "email": "new@example.org",
    "full_name": "Anna",
    "comment": "a comment",
    "password": "a brand new password",
    "current_password": factories.PASSWORD,
    "remember": "y",
    "language": "en",
    "time_zone": "Europe/Moscow",
    "subject": "News for {{ first_name }}",
    "body": "Dear {{ first_name | friend }},\n\n**good** news.",
    "title": "Weekly digest",
    "message_id": "1",
    "start_date": "2030-01-31",
    "start_time": "09:00",
    "end_date": "2031-01-31",
    "end_time": "09:00",
    "periodicity": "monthly",
    "audience": "chosen",
    "pasted": "client1@example.org",
    "reason": "because",
    "role": "manager",
    "next": "/clients",
}
ODD = [
    *(
        "\x00",
        "\ud800",
        "\udfff",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\x1b[31m",
        "a\r\nBcc: b@example.org",
        "=?utf-8?q?=0D?=",
    ),
    *("-1", "2147483648", "9223372036854775808", "9" * 40, "1e9", "NaN", "٣", "0x10", "1_000", " 1 "),
    *("0000-00-00", "2024-02-30", "9999-12-31", "0001-01-01", "24:00", "23:59:60", "10000-01-01", "2024-W01"),
    *("../../etc/passwd", "Mars/Base", "Etc/GMT+25", "/etc/localtime", "CON", "..", "%00", "%s%s%n", "%(x)s", "{x}"),
    *("' OR 1=1 --", '"; DROP TABLE users', "<script>alert(1)</script>", "{{ 7 * 7 }}", "{% for %}", "{{ a | b | c }}"),
    *(
        "@",
        "a@b",
        "a@b.c\x00",
        "very.long" * 30 + "@example.org",
        "аня@пример.рф",
        '"a b"@example.org',
        "a@[127.0.0.1]",
    ),
    *("x" * 5000, "💌" * 3000, "a\n" * 2000, "é" * 1025, "[" * 3000, "*" * 3000, ">" * 3000, "- " * 1500, "`" * 999),
]
pytestmark = pytest.mark.slow
values = st.one_of(st.sampled_from(ODD), st.sampled_from(["", *SENSIBLE.values()]), st.text(max_size=30))


@dataclass
class Visitor:
    """Somebody with one cookie and the forms' token that goes with it; nothing that is answered changes them."""

    app: Flask
    things: Things
    signed_in: bool
    headers: dict[str, str] = field(default_factory=dict)
    token: str = ""
    paths: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.enter()

    def enter(self) -> None:
        browser = self.app.test_client()
        if self.signed_in:
            factories.sign_in(browser, self.things.owner)
        self.token = factories.csrf_token(browser)
        self.headers = {"Cookie": f"session={browser.get_cookie('session').value}"}

    def send(self, rule: Rule, pairs: list[tuple[str, str]]) -> int:
        """The status of the answer to a form; a fault of ours is raised."""
        browser = self.app.test_client(use_cookies=False)
        path = self.path(rule)
        sent = urlencode([(k, v.encode("utf-8", "surrogatepass")) for k, v in pairs])
        if "POST" in (rule.methods or ()):
            sent += f"&csrf_token={self.token}"
            kind = "application/x-www-form-urlencoded"
            answer = browser.post(path, data=sent, content_type=kind, headers=self.headers)
        else:
            answer = browser.get(path, query_string=sent, headers=self.headers)
        if answer.status_code == 302 and answer.location.startswith("/sign-in"):
            self.enter()  # one of the forms signs out
        if answer.status_code == 410:
            self.paths.pop(rule.rule)  # a link works once
        if answer.status_code == 404:
            self.things = routes.make_things(self.things.owner)  # another one deletes
            self.paths.clear()
        return answer.status_code

    def path(self, rule: Rule) -> str:
        if rule.rule not in self.paths:
            self.paths[rule.rule] = routes.address(self.app, rule, self.things.arguments(rule))
        return self.paths[rule.rule]


def forms(app: Flask, things: Things) -> list[tuple[Rule, list[str]]]:
    """Every route that takes a form, with the names of its fields; lists with a search box or filters, too.

    A form with fields is worth more requests than a button.
    """
    browser = factories.sign_in(app.test_client(), things.owner)
    found = []
    for rule in routes.rules(app):
        if rule.endpoint.endswith("static") or rule.endpoint.startswith("health."):
            continue
        text = browser.get(routes.address(app, rule, things.arguments(rule))).text
        names = set(re.findall(r'<(?:input|select|textarea|button)[^>]* name="([^"]+)"', text)) - {"csrf_token"}
        if "POST" in routes.methods(rule):
            found += [(rule, sorted(names | {"next"}))] * (8 if len(names) > 1 else 2)
        else:
            found.append((rule, sorted(names | {*ASKED})))
    return found


def request(every: list[tuple[Rule, list[str]]]) -> st.SearchStrategy:
    """Which form, whose, what is typed into some of its fields, and which one is left out."""
    typed = st.lists(st.tuples(st.integers(0, 30), values), max_size=3)
    return st.tuples(st.sampled_from(every), st.sampled_from([0, 0, 0, 1]), typed, st.integers(0, 60))


@pytest.fixture(scope="module")
def known() -> dict[str, list[tuple[Rule, list[str]]]]:
    """The forms of the app on each database: found once, and not in each part."""
    return {}


@pytest.fixture
def visitors(app, monkeypatch):
    monkeypatch.setattr(limiter, "enabled", False)
    things = [routes.make_things(owner) for owner in (factories.user(role=Role.ADMIN), factories.user(confirmed=False))]
    return [Visitor(app, things[0], signed_in=True), Visitor(app, things[1], signed_in=False)]


@pytest.mark.parametrize(
    ("database", "part"),
    [(name, part) for name, parts in PARTS.items() for part in range(parts)],
    indirect=["database"],
)
def test_whatever_forms_send_no_page_breaks(app, visitors, known, database, part):
    every = known.get(database) or known.setdefault(database, forms(app, visitors[0].things))
    met: dict[int, int] = {}

    def send(rule: Rule, fields: list[str], visitor: int, typed: list[tuple[int, str]], left_out: int) -> None:
        filled = {
            name: SENSIBLE.get(name, "") for name in fields if SENSIBLE.get(name) or "POST" in (rule.methods or ())
        }
        filled |= {fields[number % len(fields)]: text for number, text in typed}
        pairs = [pair for number, pair in enumerate(filled.items()) if number != left_out]
        status = visitors[visitor].send(rule, pairs)
        met[status] = met.get(status, 0) + 1
        assert status < 500, (rule, pairs)

    @settings(
        max_examples=int(REQUESTS * SHARE[database] / PARTS[database] / AT_ONCE),
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests=st.lists(request(every), min_size=AT_ONCE, max_size=AT_ONCE))
    def run(requests):
        for (rule, fields), visitor, typed, left_out in requests:
            send(rule, fields, visitor, typed, left_out)

    run()
    assert met[200] + met[422] > sum(met.values()) / 4  # most got as far as the form itself
