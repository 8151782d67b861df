"""Every text in the database is an attack, and every page is opened in Chromium: none of them fires."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, Page
from sqlalchemy import Enum, String, select, update

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, Breaker, Event, Mailing, Message, Role, User
from tests import factories
from tests.e2e.attacks import ATTACKS
from tests.web import routes

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database", ["sqlite"], indirect=True)]
# Words of ours that no person types.
OURS = {
    *("users.password_hash", "users.session_key", "users.language", "users.time_zone", "sessions.key"),
    *("posts.language", "sign_up_forms.language"),
    *("sessions.user_key", "mailings.time_zone", "attempts.key", "posts.slug", "posts.image"),
    *("events.action", "events.subject_type", "breakers.kind", "images.filename"),
}
# What only an attack brings into a page: a handler, a link that is code, an element that we never use.
FOREIGN = """() => [
    ...[...document.querySelectorAll('*')].flatMap(e => [...e.attributes])
        .filter(a => a.name.startsWith('on') ||
            ['href', 'src', 'action'].includes(a.name) && /^\\s*javascript:/i.test(a.value))
        .map(a => a.name + '=' + a.value),
    ...[...document.querySelectorAll('base, object, embed, meta[http-equiv]')].map(e => e.outerHTML),
]"""
LINK = re.compile(r'(?:href|src)="(/[^"#]*)')
FOLLOWED = re.compile(r"^/(?!static|bootstrap|healthz|readyz)")
PARTS = 6  # of the walk, so that none lasts long


def chunks() -> list[str]:
    """Some attacks each, as many as a name holds."""
    made = [""]
    for attack in ATTACKS:
        made += [""] if len(made[-1]) + len(attack) > 190 else []
        made[-1] += attack
    return made


@pytest.fixture
def reader(app: Flask) -> User:
    """An administrator whose things, and those of everybody else, are attacks wherever a text may be."""
    reader = factories.user(role=Role.ADMIN)
    for _ in chunks():
        things = routes.make_things(reader)
    with transaction() as session:
        event = Event(actor_id=reader.id, action="blocked", subject_type="user", subject_id=reader.id)
        for chunk in chunks():
            detail = {"reason": chunk, "title": chunk, "before": chunk, "after": chunk, chunk: chunk}
            session.add(Event(actor_id=event.actor_id, action=event.action, detail=detail, address=chunk[:64]))
        session.add(Breaker(name="mail", failures=9, opens=1, retry_at=clock.now(), last_trouble_at=clock.now()))
        session.get_one(Mailing, things.mailing_id).disabled_at = clock.now()
        session.get_one(Attempt, things.attempt_id).succeeded = False
    with transaction():
        attack_everything()
    return db.session.scalars(select(User)).one()


def attack_everything() -> None:
    parts = chunks()
    for table in db.metadata.sorted_tables:
        texts = [c for c in table.columns if isinstance(c.type, String) and not isinstance(c.type, Enum)]
        texts = [c for c in texts if str(c) not in OURS and table.name != "events"]
        keys = list(table.primary_key.columns)
        rows = db.session.execute(select(*keys)).all() if texts else []
        for number, row in zip(count(), rows):
            # What is unique differs in its last letters.
            values = {c: parts[number % len(parts)][: (c.type.length or 10**6) - 6] + f" {number}" for c in texts}
            where = [key == value for key, value in zip(keys, row, strict=True)]
            db.session.execute(update(table).where(*where).values(values))


def reachable(browser: FlaskClient, starts: Iterable[str]) -> list[str]:
    """The address of every page that links lead to, of each kind as many as there are rows."""
    seen = {path for path in starts if FOLLOWED.match(path)}
    ahead, kinds = sorted(seen), Counter[str]()
    for path in ahead:
        page = browser.get(path)
        for link in map(html.unescape, LINK.findall(page.text) if page.mimetype == "text/html" else []):
            kind = re.sub(r"\d+", "1", link.partition("?")[0])
            if link not in seen and FOLLOWED.match(link) and kinds[kind] < len(chunks()):
                kinds[kind] += 1
                seen.add(link)
                ahead.append(link)
    return ahead


@contextmanager
def visit(app: Flask, site: str, chromium: Browser, **options: object) -> Iterator[tuple[Page, list[str]]]:
    """A page of the reader's, and the addresses where an attack has fired."""
    browser = factories.sign_in(app.test_client(), db.session.scalars(select(User)).one())
    context = chromium.new_context(**options)
    context.add_cookies([{"name": "session", "value": browser.get_cookie("session").value, "url": site}])
    fired: list[str] = []
    context.expose_binding("fired", lambda source: fired.append(source["frame"].url))
    yield context.new_page(), fired
    context.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_no_text_of_the_database_runs_as_code(app, reader, site, chromium, part):
    """Without the Content-Security-Policy, which would hide a text that is not escaped."""
    starts = [rule.rule for rule in routes.rules(app) if not rule.arguments and "GET" in rule.methods]
    paths = reachable(factories.sign_in(app.test_client(), reader), starts)
    foreign = []
    with visit(app, site, chromium, bypass_csp=True) as (page, fired):
        for path in paths[part::PARTS]:
            answer = page.goto(site + path)
            assert answer is not None
            assert answer.status < 500, path
            foreign += [f"{path}: {what}" for what in page.evaluate(FOREIGN)]
    assert fired == []
    assert foreign == []
    assert len(paths) > 250, len(paths)


def test_no_preview_of_a_letter_runs_what_its_message_says(app, reader, site, chromium):
    """As it is, with its own policy: here a person's own text is shown as it looks."""
    with visit(app, site, chromium) as (page, fired):
        for message_id in db.session.scalars(select(Message.id)):
            page.goto(f"{site}/messages/{message_id}")
            page.goto(f"{site}/messages/{message_id}/preview")
    assert fired == []


def test_the_corpus_would_fire_where_nothing_is_escaped(app, chromium: Browser):
    """So that the silence of the test above means something."""
    context = chromium.new_context()
    fired: list[int] = []
    context.expose_binding("fired", lambda _: fired.append(1))
    page = context.new_page()
    page.set_content(f"<!doctype html><body>{''.join(ATTACKS)}</body>")
    page.wait_for_timeout(200)
    context.close()
    assert len(fired) > 5
