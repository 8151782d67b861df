"""Follows every link as each of four roles: no page holds a word of another's that the role may not read."""

from __future__ import annotations

import html
import re

import pytest

from mailservice.database import db, transaction
from mailservice.models import (
    Attempt,
    Client,
    Delivery,
    Mailing,
    Message,
    Result,
    Role,
    SavedFilter,
    Suppression,
    Tag,
    User,
    UserSession,
)
from tests import factories
from tests.web import routes
from tests.web.routes import STAFF

MOST_PAGES = 300
# Every text of the owner's, each a word that stands nowhere else, and who may read it besides the owner.
MAY_READ = {
    (User, "full_name"): STAFF,
    (User, "email"): STAFF,
    (User, "new_email"): {},
    (User, "password_hash"): {},
    (User, "session_key"): {},
    (UserSession, "key"): {},
    (UserSession, "browser"): {},
    (UserSession, "address"): {},
    (Client, "email"): {},
    (Client, "full_name"): STAFF,
    (Client, "comment"): {},
    (Message, "subject"): STAFF,
    (Message, "body"): STAFF,
    (Mailing, "title"): STAFF,
    (Attempt, "subject"): STAFF,
    (Attempt, "body"): STAFF,
    (Attempt, "server_reply"): STAFF,
    (Delivery, "email"): {},
    (Delivery, "full_name"): STAFF,
    (Result, "reply"): STAFF,
    (Suppression, "email_normalised"): {},
    (Suppression, "said"): {},
    (Tag, "name"): {},
    (SavedFilter, "name"): {},
}


@pytest.fixture
def marks(app):
    """The word in each column of the owner's rows."""
    owner = factories.user()
    routes.make_things(owner)
    words = {}
    with transaction() as session:
        for number, (model, column) in enumerate(MAY_READ):
            words[model, column] = word = f"mark{number:02}x"
            value = f"{word}@mark.example" if "email" in column else word
            for row in session.query(model):
                # Two messages, say: unique columns keep the mark and add the row's number.
                setattr(row, column, value.replace("x", f"x{getattr(row, 'id', '')}x", 1))
        for row in session.query(UserSession):
            row.user_key = owner.session_key
    return words


def crawl(browser, starts):
    """(address, text) of every page that can be reached."""
    seen, ahead = set(starts), list(starts)
    while ahead:
        path = ahead.pop()
        page = browser.get(path)
        assert page.status_code < 500, path
        if page.mimetype != "text/html" and not path.endswith("preview"):
            continue
        yield path, html.unescape(page.text)
        links = re.findall(r'(?:href|src|action)="(/[^"#]*)', page.text)
        if page.location:
            links.append(page.location)
        for link in map(html.unescape, links):
            if link not in seen and link.startswith("/") and not link.startswith(("/static", "/bootstrap")):
                seen.add(link)
                ahead.append(link)
    assert len(seen) < MOST_PAGES, "the crawl goes on and on: is there a link without an end?"


def starts(app):
    """Every page whose address names nothing; with what would look for the owner's things, too."""
    paths = {rule.rule for rule in routes.rules(app) if not rule.arguments and "GET" in rule.methods}
    return [*sorted(paths - {"/readyz"}), "/clients?q=mark", "/messages?q=mark", "/mailings?q=mark", "/reports?page=1"]


def is_signed(path, model, column):
    """A post tells its author's name to everybody."""
    return path.startswith("/blog/") and (model, column) == (User, "full_name")


@pytest.mark.parametrize("role", [None, *Role], ids=lambda role: role or "visitor")
def test_no_page_holds_what_its_reader_may_not_read(app, browser, marks, role):
    if role:
        factories.sign_in(browser, factories.user(role=role))
    told = []
    pages = 0
    for path, text in crawl(browser, starts(app)):
        pages += 1
        told += [
            f"{path}: {model.__name__}.{column}"
            for (model, column), word in marks.items()
            if word in text and role not in MAY_READ[model, column] and not is_signed(path, model, column)
        ]
    assert told == []
    assert pages > (20 if role else 5)


def test_the_owner_reads_his_own(app, browser, marks):
    """So that the test above would notice: the marks do stand on pages."""
    owner = db.session.query(User).filter(User.full_name.startswith("mark")).one()
    factories.sign_in(browser, owner)
    text = "".join(text for _, text in crawl(browser, starts(app)))
    unseen = {f"{model.__name__}.{column}" for (model, column), word in marks.items() if word not in text}
    assert unseen == NOWHERE


NOWHERE = {
    "User.password_hash",
    "User.session_key",
    "UserSession.key",
    "Attempt.body",
}
