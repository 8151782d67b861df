"""Makers of rows for tests, each in a transaction of its own; and a browser's sign-in and form posts."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from flask import current_app
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import insert
from werkzeug.test import TestResponse

from mailservice import clock
from mailservice.database import transaction
from mailservice.models import (
    Client,
    Mailing,
    Message,
    Periodicity,
    Post,
    SavedFilter,
    Tag,
    User,
    UserSession,
    client_tags,
    mailing_clients,
)

PASSWORD = "a long enough password"
HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)  # weak on purpose: tests guard nobody
_numbers = itertools.count(1)


@functools.cache
def _hash(password: str) -> str:
    return HASHER.hash(password)


def user(*, password: str = PASSWORD, confirmed: bool = True, **values: Any) -> User:
    """A confirmed user; `confirmed=False` for one who has not clicked yet."""
    values.setdefault("email", f"user{next(_numbers)}@example.org")
    values.setdefault("email_normalised", values["email"].lower())
    values.setdefault("full_name", "Anna Petrova")
    values.setdefault("language", "en")
    values.setdefault("confirmed_at", clock.now() if confirmed else None)
    return _add(User(password_hash=_hash(password), **values))


def client(owner: User, **values: Any) -> Client:
    values.setdefault("email", f"client{next(_numbers)}@example.org")
    values.setdefault("email_normalised", values["email"].lower())
    values.setdefault("full_name", "Boris Ivanov")
    return _add(Client(owner_id=owner.id, **values))


def message(owner: User, **values: Any) -> Message:
    values.setdefault("subject", "News of the week")
    values.setdefault("body", "Good day, {{ first_name }}!")
    return _add(Message(owner_id=owner.id, **values))


def mailing(
    owner: User, *, message: Message | None = None, clients: list[Client] | None = None, **values: Any
) -> Mailing:
    """A daily mailing from tomorrow on, to one new client unless `clients` says otherwise; not yet planned.

    `next_at` and `next_occurrence` are the first firing, unless given.
    """
    chosen = message or _make_message(owner)
    audience = [client(owner)] if clients is None else clients
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    values.setdefault("title", "Weekly digest")
    values.setdefault("time_zone", "UTC")
    values.setdefault("start_local", tomorrow.replace(tzinfo=None))
    values.setdefault("periodicity", Periodicity.DAILY)
    if values["time_zone"] == "UTC":
        values.setdefault("next_at", values["start_local"].replace(tzinfo=UTC))
        values.setdefault("next_occurrence", 0 if values["next_at"] else None)
    made = _add(Mailing(owner_id=owner.id, message_id=chosen.id, **values))
    rows = [{"mailing_id": made.id, "client_id": c.id, "owner_id": owner.id} for c in audience]
    if rows:
        with transaction() as session:
            session.execute(insert(mailing_clients), rows)
    return made


_make_message = message


def blog_post(author: User | None = None, **values: Any) -> Post:
    """A post that everybody sees, since yesterday."""
    number = next(_numbers)
    values.setdefault("title", f"How letters arrive, part {number}")
    values.setdefault("slug", f"how-letters-arrive-{number}")
    values.setdefault("language", "en")
    values.setdefault("body", "A letter **arrives** when the server says so.")
    values.setdefault("published_at", clock.now() - timedelta(days=1))
    return _add(Post(author_id=author.id if author else None, **values))


def tag(owner: User, name: str, *clients: Client) -> Tag:
    """A tag, and the clients who carry it."""
    made = _add(Tag(owner_id=owner.id, name=name, name_folded=name.casefold()))
    rows = [{"client_id": c.id, "tag_id": made.id, "owner_id": owner.id} for c in clients]
    if rows:
        with transaction() as session:
            session.execute(insert(client_tags), rows)
    return made


def saved_filter(owner: User, name: str = "Regulars", **conditions: Any) -> SavedFilter:
    """A saved filter; its conditions as JSON has them."""
    return _add(SavedFilter(owner_id=owner.id, name=name, name_folded=name.casefold(), conditions=conditions))


def _add(row: Any) -> Any:
    with transaction() as session:
        session.add(row)
    return row


def sign_in(browser: FlaskClient, user: User) -> FlaskClient:
    """The browser as it is after `user` signed in (without the price of a password, and without an event)."""
    row = _add(UserSession(user_id=user.id, user_key=user.session_key, expires_at=clock.now() + timedelta(days=1)))
    with browser.session_transaction() as session:
        session["_user_id"] = row.key
        session["_fresh"] = True
    return browser


def csrf_token(browser: FlaskClient) -> str:
    """A token that the forms of this browser's session accept."""
    with browser.session_transaction() as session:
        secret = session.setdefault("csrf_token", hashlib.sha1(os.urandom(64)).hexdigest())
    return str(URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="wtf-csrf-token").dumps(secret))


def post(browser: FlaskClient, url: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
    """Sends a form as a person would, with the page's token."""
    return browser.post(url, data={**(data or {}), "csrf_token": csrf_token(browser)}, **options)
