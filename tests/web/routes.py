"""Walks the map of addresses: every route, with something real to put into each of its arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import insert
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Attempt, AttemptStatus, Batch, Delivery, Result, State, User
from mailservice.sending import unsubscribe_token
from mailservice.services import tokens
from tests import factories

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
FILES = {"static": "app.css", "bootstrap.static": "css/bootstrap.min.css", "blog.image": f"{'0' * 20}-480.webp"}
NO_BROWSER_SENDS = {"OPTIONS"}  # answered by Flask itself, without any view


@dataclass
class Things:
    """One of each thing that an address can name, all of one owner."""

    owner: User
    client_id: int
    message_id: int
    mailing_id: int
    attempt_id: int
    post_id: int
    slug: str

    def arguments(self, rule: Rule) -> dict[str, Any]:
        return {name: self._argument(name, rule.endpoint) for name in rule.arguments}

    def _argument(self, name: str, endpoint: str) -> Any:
        if name == "token":
            return self._token(endpoint)
        if name == "filename":
            return FILES[endpoint]
        assert hasattr(self, name), f"{endpoint} has an argument “{name}”: add it to tests/web/routes.py (Things)"
        return getattr(self, name)

    def _token(self, endpoint: str) -> str:
        secret = current_app.config["SECRET_KEY"]
        if endpoint.startswith("unsubscribe."):
            return unsubscribe_token.token(unsubscribe_token.key(secret), self.owner.id, "boris@example.org")
        purpose = tokens.Purpose(endpoint.rpartition(".")[2])
        return tokens.make(self.owner, purpose=purpose, secret=secret)


def make_things(owner: User) -> Things:
    """The mailing waits for its next firing; its attempt is through, so that everything may be deleted."""
    client = factories.client(owner)
    message = factories.message(owner)
    mailing = factories.mailing(owner, message=factories.message(owner), clients=[client], next_occurrence=1)
    now = clock.now()
    attempt = Attempt(
        mailing_id=mailing.id,
        owner_id=owner.id,
        occurrence=0,
        due_at=now,
        began_at=now,
        finished_at=now,
        status=AttemptStatus.DONE,
        succeeded=True,
        audience=1,
        sent=1,
        server_reply="250 2.0.0 OK",
        subject="News",
        body="Good day",
        sender="news@example.org",
    )
    with transaction() as session:
        session.add(attempt)
        session.flush()
        batch = {"attempt_id": attempt.id, "number": 1, "size": 1, "waiting": 0, "sent": 1}
        session.execute(insert(Batch), [batch])
        delivery = Delivery(
            attempt_id=attempt.id,
            batch=1,
            client_id=client.id,
            email=client.email,
            email_normalised=client.email_normalised,
            full_name=client.full_name,
            comment="",
        )
        session.add(delivery)
        session.flush()
        result = {"delivery_id": delivery.id, "attempt_id": attempt.id, "round": 1, "state": State.SENT}
        session.execute(insert(Result), [result | {"tried_at": now, "code": 250, "reply": "250 2.0.0 OK"}])
    post = factories.blog_post(owner)
    images = current_app.config["SETTINGS"].images_path
    images.mkdir(exist_ok=True)
    (images / FILES["blog.image"]).touch()
    return Things(owner, client.id, message.id, mailing.id, attempt.id, post.id, post.slug)


def rules(app: Flask) -> list[Rule]:
    return sorted(app.url_map.iter_rules(), key=lambda rule: (rule.endpoint, rule.rule))


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - NO_BROWSER_SENDS)


def address(app: Flask, rule: Rule, arguments: dict[str, Any]) -> str:
    """The path, built by this very rule."""
    with app.test_request_context():
        built = rule.build(arguments)
    assert built, f"{rule.rule} cannot be built from {arguments}"
    return built[1]


def requests(app: Flask, things: Things, *, only: tuple[str, ...] | None = None) -> Iterator[tuple[Rule, str, str]]:
    """Every route with every method that it takes: (rule, method, path)."""
    for rule in rules(app):
        for method in methods(rule):
            if only is None or method in only:
                yield rule, method, address(app, rule, things.arguments(rule))


def send(browser: FlaskClient, method: str, path: str) -> TestResponse:
    """A request as a page's own form would make it: with the token where one is needed."""
    return factories.post(browser, path) if method == "POST" else browser.open(path, method=method)


def names_a_row(rule: Rule) -> bool:
    """Whether the address has the id of somebody's row in it."""
    return any(name.endswith("_id") for name in rule.arguments)
