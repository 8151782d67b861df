from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Attempt, AttemptStatus, Event, Mailing, Periodicity, Reason, Role, User
from mailservice.services import passwords, planning, users
from tests import factories

USER, MANAGER, ADMIN = Role.USER, Role.MANAGER, Role.ADMIN


def events() -> list[Event]:
    return list(db.session.scalars(select(Event).order_by(Event.id)))


def create(email: str, **values: object) -> User:
    defaults = {"full_name": "Ada", "password_hash": passwords.hashed("x"), "role": ADMIN}
    with transaction():
        return users.create(email=email, language="en", time_zone="UTC", **(defaults | values))


def set_role(user: User, role: Role, by: User | None = None) -> User:
    with transaction():
        return users.set_role(user, role=role, by=by, address="192.0.2.1")


def block(user: User, by: User | None = None, reason: str = "Spam") -> User:
    with transaction():
        return users.block(user, reason=reason, by=by, address="192.0.2.1")


def unblock(user: User, by: User | None = None, reason: str = "") -> User:
    with transaction():
        return users.unblock(user, reason=reason, by=by)


def test_a_user_made_by_hand_is_confirmed_has_its_role_and_leaves_an_event(app: Flask) -> None:
    user = create("ada@example.org")
    assert (user.role, user.is_confirmed) == (ADMIN, True)
    assert [(e.action, e.subject_id, e.detail) for e in events()] == [("user_created", user.id, {"role": "admin"})]


def test_an_address_that_is_taken_is_refused_and_its_user_keeps_his_role(app: Flask) -> None:
    user = factories.user(email="ada@example.org")
    with pytest.raises(Invalid) as caught:
        create("ADA@example.org")
    assert caught.value.field == "email"
    assert db.session.get_one(User, user.id).role is USER
    assert events() == []


def test_another_role_signs_the_user_out_and_the_same_role_changes_nothing(app: Flask) -> None:
    user, admin = factories.user(), factories.user(role=ADMIN)
    key = user.session_key
    set_role(user, MANAGER, by=admin)
    assert (user.role, user.session_key == key) == (MANAGER, False)
    key = user.session_key
    set_role(user, MANAGER, by=admin)
    assert user.session_key == key
    told = [(e.action, e.actor_id, e.address, e.detail) for e in events()]
    assert told == [("role_changed", admin.id, "192.0.2.1", {"before": "user", "after": "manager"})]


@pytest.mark.parametrize("role", [USER, MANAGER])
def test_only_an_administrator_changes_roles(app: Flask, role: Role) -> None:
    by = factories.user(role=role)
    for user in (by, factories.user()):
        with pytest.raises(Refused):
            set_role(user, ADMIN, by=by)
        assert user.role is not ADMIN
    assert events() == []


def test_the_last_administrator_stays_one_and_may_step_down_when_there_is_another(app: Flask) -> None:
    admin = factories.user(role=ADMIN)
    factories.user(role=ADMIN, blocked_at=clock.now())
    with pytest.raises(Refused, match="only administrator"):
        set_role(admin, USER, by=admin)
    factories.user(role=ADMIN)
    set_role(admin, USER, by=admin)
    assert admin.role is USER


def test_two_administrators_who_step_down_at_once_leave_one(app: Flask) -> None:
    ids = [factories.user(role=ADMIN).id for _ in range(2)]
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def step_down(user_id: int) -> None:
        with app.app_context():
            start.wait()
            try:
                with transaction():
                    user = users.by_id(user_id)
                    users.set_role(user, role=USER, by=user)
                outcomes.append("done")
            except Refused:
                outcomes.append("refused")

    db.session.rollback()
    threads = [threading.Thread(target=step_down, args=(user_id,)) for user_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert sorted(outcomes) == ["done", "refused"]
    assert len([user for user in users.everyone() if user.role is ADMIN]) == 1


def test_two_administrators_who_take_each_others_rights_at_once_leave_one(app: Flask) -> None:
    first, second = (factories.user(role=ADMIN).id for _ in range(2))
    start = threading.Barrier(2)

    def take(by_id: int, user_id: int) -> None:
        with app.app_context():
            start.wait()
            try:
                with transaction():
                    users.block(users.by_id(user_id), reason="Coup", by=users.by_id(by_id))
            except Refused:
                pass

    db.session.rollback()
    threads = [threading.Thread(target=take, args=pair) for pair in ((first, second), (second, first))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert len([user for user in users.everyone() if user.is_active]) == 1


def test_blocking_signs_out_says_who_and_why_and_can_be_lifted(app: Flask) -> None:
    user, manager = factories.user(), factories.user(role=MANAGER, full_name="Maria")
    key = user.session_key
    block(user, by=manager)
    assert not user.is_active
    assert (user.blocked_reason, users.blocked_by(user)) == ("Spam", "Maria")
    assert user.session_key != key
    key = user.session_key
    unblock(user, by=manager, reason="He has explained it.")
    assert user.is_active
    assert (user.blocked_reason, users.blocked_by(user)) == (None, "")
    assert user.session_key != key
    told = [(e.action, e.actor_id, e.detail["reason"]) for e in events()]
    assert told == [("blocked", manager.id, "Spam"), ("unblocked", manager.id, "He has explained it.")]


@pytest.mark.parametrize("role", [USER, MANAGER, ADMIN])
def test_a_manager_blocks_users_and_nobody_above_them(app: Flask, role: Role) -> None:
    user, manager = factories.user(role=role), factories.user(role=MANAGER)
    if role is USER:
        block(user, by=manager)
        return
    with pytest.raises(Refused):
        block(user, by=manager)
    block(user, by=factories.user(role=ADMIN))
    with pytest.raises(Refused):
        unblock(user, by=manager)
    assert not user.is_active


@pytest.mark.parametrize("role", [MANAGER, ADMIN])
def test_nobody_blocks_himself(app: Flask, role: Role) -> None:
    person = factories.user(role=role)
    with pytest.raises(Refused, match="himself"):
        block(person, by=person)
    assert person.is_active


def test_who_was_blocked_a_moment_ago_blocks_nobody(app: Flask) -> None:
    user, manager = factories.user(), factories.user(role=MANAGER)
    block(manager)
    with pytest.raises(Refused):
        block(user, by=manager)
    assert user.is_active


def test_a_user_is_blocked_once_and_never_without_a_reason(app: Flask) -> None:
    user = factories.user()
    for reason in ("  ", "x" * 501, "a\nb", "a\x00"):
        with pytest.raises(Invalid) as caught:
            block(user, reason=reason)
        assert caught.value.field == "reason"
    block(user)
    with pytest.raises(Refused):
        block(user, reason="More spam")
    assert user.blocked_reason == "Spam"


def test_unblocking_makes_up_for_nothing(app: Flask, time_machine) -> None:
    user = factories.user()
    daily = factories.mailing(user)
    once = factories.mailing(user, periodicity=Periodicity.ONCE)
    of_another = factories.mailing(factories.user())
    block(user)
    time_machine.move_to(daily.next_at + timedelta(days=2, minutes=5))
    assert planning.due(clock.now()) == [of_another.id]
    unblock(user)
    assert planning.due(clock.now()) == [of_another.id]
    query = select(Attempt).where(Attempt.owner_id == user.id).order_by(Attempt.mailing_id, Attempt.occurrence)
    found = [(a.mailing_id, a.occurrence, a.status, a.reason) for a in db.session.scalars(query)]
    skipped = (AttemptStatus.SKIPPED, Reason.BLOCKED)
    assert found == [(daily.id, n, *skipped) for n in range(3)] + [(once.id, 0, *skipped)]
    daily, once = db.session.get_one(Mailing, daily.id), db.session.get_one(Mailing, once.id)
    assert (daily.next_occurrence, once.next_at) == (3, None)
    assert daily.next_at is not None
    assert daily.next_at > clock.now()


def test_an_open_attempt_does_not_go_on_after_a_block_that_was_lifted_at_once(app: Flask) -> None:
    user = factories.user()
    mailing = factories.mailing(user)
    with transaction() as session:
        values = {"occurrence": 0, "due_at": clock.now(), "status": AttemptStatus.SENDING}
        session.add(Attempt(mailing_id=mailing.id, owner_id=user.id, **values))
    block(user)
    unblock(user)
    assert db.session.scalars(select(Attempt)).one().reason is Reason.BLOCKED


@pytest.mark.parametrize("email", ["nobody@example.org", "", "no address", "a\x00@example.org"])
def test_an_unknown_address_is_not_found(app: Flask, email: str) -> None:
    with pytest.raises(NotFound):
        users.by_email(email)


@pytest.mark.parametrize("number", [0, -1, 999_999, 2**63, 10**30])
def test_an_unknown_number_is_not_found(app: Flask, number: int) -> None:
    with pytest.raises(NotFound):
        users.by_id(number)


def test_the_right_to_write_the_blog_is_given_by_administrators_and_leaves_an_event(app: Flask) -> None:
    admin, user = create("ada@example.org"), create("eva@example.org", role=Role.USER)
    for is_editor in (True, True, False):
        with transaction():
            users.make_editor(users.by_email("eva@example.org"), is_editor=is_editor, by=admin)
        assert users.by_email("eva@example.org").is_editor is is_editor
    written = [(e.actor_id, e.action) for e in events() if e.action.startswith("editor")]
    assert written == [(admin.id, "editor_right_given"), (admin.id, "editor_right_taken")]
    with pytest.raises(Refused), transaction():
        users.make_editor(users.by_email("ada@example.org"), by=user)
