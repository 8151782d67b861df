from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Event, Role, User
from mailservice.services import passwords, users
from tests import factories


def events() -> list[Event]:
    return list(db.session.scalars(select(Event).order_by(Event.id)))


def create(email: str, **values: object) -> User:
    defaults = {"full_name": "Ada", "password_hash": passwords.hashed("x"), "role": Role.ADMIN}
    with transaction():
        return users.create(email=email, language="en", time_zone="UTC", **(defaults | values))


def test_a_user_made_by_hand_is_confirmed_has_its_role_and_leaves_an_event(app: Flask) -> None:
    user = create("ada@example.org")
    assert (user.role, user.is_confirmed) == (Role.ADMIN, True)
    assert [(e.action, e.subject_id, e.detail) for e in events()] == [("user.create", user.id, {"role": "admin"})]


def test_an_address_that_is_taken_is_refused_and_its_user_keeps_his_role(app: Flask) -> None:
    user = factories.user(email="ada@example.org")
    with pytest.raises(Invalid) as caught:
        create("ADA@example.org")
    assert caught.value.field == "email"
    assert db.session.get_one(User, user.id).role is Role.USER
    assert events() == []


def test_another_role_signs_the_user_out_and_the_same_role_changes_nothing(app: Flask) -> None:
    user = factories.user()
    key = user.session_key
    with transaction():
        users.set_role(users.by_email(user.email, lock=True), role=Role.MANAGER)
    assert (user.role, user.session_key == key) == (Role.MANAGER, False)
    key = user.session_key
    with transaction():
        users.set_role(user, role=Role.MANAGER)
    assert user.session_key == key
    assert [e.detail for e in events()] == [{"from": "user", "to": "manager"}]


def test_blocking_signs_out_says_who_and_why_and_can_be_lifted(app: Flask) -> None:
    user, manager = factories.user(), factories.user(role=Role.MANAGER)
    key = user.session_key
    with transaction():
        users.block(user, reason="Spam", by=manager)
    assert not user.is_active
    assert (user.blocked_reason, user.blocked_by_id) == ("Spam", manager.id)
    assert user.session_key != key
    key = user.session_key
    with transaction():
        users.unblock(user, by=manager)
    assert user.is_active
    assert (user.blocked_reason, user.blocked_by_id) == (None, None)
    assert user.session_key != key
    assert [(e.action, e.actor_id) for e in events()] == [("user.block", manager.id), ("user.unblock", manager.id)]


def test_a_user_is_blocked_once_and_never_without_a_reason(app: Flask) -> None:
    user = factories.user()
    with pytest.raises(Invalid), transaction():
        users.block(user, reason="  ")
    with transaction():
        users.block(user, reason="Spam")
    with pytest.raises(Refused), transaction():
        users.block(user, reason="More spam")
    assert user.blocked_reason == "Spam"


@pytest.mark.parametrize("email", ["nobody@example.org", "", "no address", "a\x00@example.org"])
def test_an_unknown_address_is_not_found(app: Flask, email: str) -> None:
    with pytest.raises(NotFound):
        users.by_email(email)


def test_the_right_to_write_the_blog_is_given_by_administrators_and_leaves_an_event(app: Flask) -> None:
    admin, user = create("ada@example.org"), create("eva@example.org", role=Role.USER)
    with transaction():
        users.make_editor(users.by_email("eva@example.org", lock=True), by=admin)
        users.make_editor(users.by_email("eva@example.org", lock=True), by=admin)
    assert user.is_editor
    with transaction():
        users.make_editor(users.by_email("eva@example.org", lock=True), is_editor=False, by=admin)
    assert not user.is_editor
    assert [(e.actor_id, e.detail) for e in events() if e.action == "user.make_editor"] == [
        (admin.id, {"is_editor": True}),
        (admin.id, {"is_editor": False}),
    ]
    with pytest.raises(Refused), transaction():
        users.make_editor(users.by_email("ada@example.org", lock=True), by=user)
