"""Walks the map of addresses: every route, with something real to put into each of its arguments."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from flask import Flask, current_app
from flask.testing import FlaskClient
from sqlalchemy import insert, select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Delivery,
    Event,
    FileKind,
    Image,
    Import,
    ImportStatus,
    Post,
    Result,
    Role,
    SavedFilter,
    SignUp,
    SignUpForm,
    State,
    Suppression,
    SuppressionReason,
    Tag,
    User,
    UserSession,
)
from mailservice.sending import unsubscribe_token
from mailservice.services import signups, tokens
from tests import factories

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
FILES = {"static": "app.css", "bootstrap.static": "css/bootstrap.min.css", "blog.image": f"{'0' * 20}-480.webp"}
FILES["messages.image"] = f"{'0' * 20}-480.jpg"
NO_BROWSER_SENDS = {"OPTIONS"}  # answered by Flask itself, without any view
STAFF = frozenset({Role.MANAGER, Role.ADMIN})
_numbers = itertools.count(1)


class Access(NamedTuple):
    """Who may enter, and whether rows of others are found there; everybody else is told that there is no such page."""

    roles: frozenset[Role] = frozenset(Role)
    others: bool = False


# By the beginning of the address; the longest one counts. What is public is listed in test_routes.py.
ACCESS = {
    "/": Access(),
    "/manager": Access(STAFF, others=True),
    "/manager/users/<int:row_id>/role": Access(frozenset({Role.ADMIN}), others=True),
    "/posts": Access(frozenset({Role.ADMIN}), others=True),
}
# Addresses of the panel say `row_id`: of what, by the endpoint's first word.
ROWS = {
    "manager_users": "user_id",
    "manager_mailings": "mailing_id",
    "manager_attempts": "attempt_id",
    "manager_deliveries": "delivery_id",
    "manager_clients": "client_id",
    "manager_messages": "message_id",
    "manager_suppressions": "suppression_id",
    "manager_posts": "post_id",
    "manager_events": "event_id",
}


def access(rule: Rule) -> Access:
    return max((prefix, a) for prefix, a in ACCESS.items() if rule.rule.startswith(prefix))[1]


@dataclass
class Things:
    """One of each thing that an address can name, all of one owner."""

    owner: User
    client_id: int
    message_id: int
    mailing_id: int
    attempt_id: int
    delivery_id: int
    suppression_id: int
    post_id: int
    event_id: int
    session_id: int
    tag_id: int
    filter_id: int
    import_id: int
    image_id: int

    slug: str
    key: str

    @property
    def user_id(self) -> int:
        return self.owner.id

    def arguments(self, rule: Rule) -> dict[str, Any]:
        return {name: self._argument(name, rule.endpoint) for name in rule.arguments}

    def _argument(self, name: str, endpoint: str) -> Any:
        if name == "token":
            return self._token(endpoint)
        if name == "filename":
            return FILES[endpoint]
        name = ROWS[endpoint.partition(".")[0]] if name == "row_id" else name
        assert hasattr(self, name), f"{endpoint} has an argument “{name}”: add it to tests/web/routes.py (Things)"
        return getattr(self, name)

    def _token(self, endpoint: str) -> str:
        secret = current_app.config["SECRET_KEY"]
        if endpoint.startswith("unsubscribe."):
            return unsubscribe_token.token(unsubscribe_token.key(secret), self.owner.id, "boris@example.org")
        if endpoint.startswith("join."):
            return signups.token(self.sign_up(), secret=secret)
        purpose = tokens.Purpose(endpoint.rpartition(".")[2])
        return tokens.make(self.owner, purpose=purpose, secret=secret)

    def sign_up(self) -> SignUp:
        """The request that waits; what has been asked with its link may have confirmed it."""
        query = select(SignUp).where(SignUp.owner_id == self.owner.id)
        if (waiting := db.session.scalars(query).first()) is None:
            with transaction() as session:
                email = {"email": "vera@example.org", "email_normalised": "vera@example.org"}
                waiting = SignUp(owner_id=self.owner.id, consent_text="I agree.", **email)
                session.add(waiting)
        return waiting


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
        others = _others(owner)
        session.add_all(others)
        session.get_one(User, owner.id).new_email = "another@example.org"  # a change of address waits for its letter
        session.flush()
        ids = [client.id, message.id, mailing.id, attempt.id, delivery.id, *(row.id for row in others)]
    images = current_app.config["SETTINGS"].images_path
    images.mkdir(exist_ok=True)
    (images / FILES["blog.image"]).touch()
    (images / "messages").mkdir(exist_ok=True)
    (images / "messages" / FILES["messages.image"]).touch()
    slug = next(row.slug for row in others if isinstance(row, Post))
    things = Things(owner, *ids, slug=slug, key=_form(owner).key)
    things.sign_up()
    return things


def _form(owner: User) -> SignUpForm:
    """An owner has one."""
    form = signups.form_of(owner)
    if form is None:
        words = {"title": "News", "consent_text": "I agree.", "language": "en"}
        with transaction():
            form = signups.save_form(owner, is_open=True, text="", **words)
    return form


def _others(owner: User) -> list[Any]:
    """In the order of the fields of Things."""
    number = next(_numbers)
    now = clock.now()
    return [
        Suppression(
            owner_id=owner.id, email_normalised=f"gone{number}@example.org", reason=SuppressionReason.HARD_BOUNCE
        ),
        Post(author_id=owner.id, title="News", slug=f"news-{number}", body="Good day", published_at=now),
        Event(actor_id=owner.id, action="signed_in", subject_type="user", subject_id=owner.id, address="192.0.2.1"),
        UserSession(user_id=owner.id, user_key=owner.session_key, expires_at=now + timedelta(days=1)),
        Tag(owner_id=owner.id, name=f"VIP {number}", name_folded=f"vip {number}"),
        SavedFilter(owner_id=owner.id, name=f"Regulars {number}", name_folded=f"regulars {number}", conditions={}),
        Import(owner_id=owner.id, name="clients.csv", stored="", kind=FileKind.TEXT, status=ImportStatus.DONE, new=1),
        Image(owner_id=owner.id, filename=f"{number:020x}-480.jpg", title="A cup", width=480, height=320, size=2048),
    ]


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
