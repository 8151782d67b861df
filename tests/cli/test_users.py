"""`flask users`, as somebody at the terminal types it."""

from __future__ import annotations

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from mailservice.database import db
from mailservice.models import Event, Role, User
from mailservice.services import accounts, users
from tests import factories

PASSWORD = "correct horse battery"


@pytest.fixture
def run(app: Flask):
    def type_it(*args: str, stdin: str = "") -> Result:
        result = app.test_cli_runner().invoke(args=["users", *args], input=stdin)
        db.session.rollback()
        return result

    return type_it


def test_the_first_administrator_is_made_with_a_hidden_password(run) -> None:
    result = run("create", "ada@example.org", "--name", "Ada", "--role", "admin", stdin=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    user = users.by_email("ada@example.org")
    assert accounts.authenticate(email="ada@example.org", password=PASSWORD).user_id == user.id
    assert (user.role, user.full_name, user.is_confirmed) == (Role.ADMIN, "Ada", True)


def test_a_password_may_come_from_standard_input(run) -> None:
    assert run("create", "ada@example.org", "--password-stdin", stdin=f"{PASSWORD}\n").exit_code == 0
    user = users.by_email("ada@example.org")
    assert accounts.authenticate(email="ada@example.org", password=PASSWORD).user_id == user.id
    assert user.role is Role.USER


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("ada@example.org", "short", "at least 8 characters"),
        ("no address", PASSWORD, "does not look like an e-mail address"),
        ("taken@example.org", PASSWORD, "already"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(run, email: str, password: str, words: str) -> None:
    factories.user(email="taken@example.org")
    result = run("create", email, "--password-stdin", stdin=f"{password}\n")
    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


def test_roles_and_blocks_show_in_the_list(run) -> None:
    factories.user(email="ada@example.org", full_name="Ada")
    factories.user(email="boris@example.org", confirmed=False)
    assert run("promote", "ada@example.org", "manager").exit_code == 0
    assert run("block", "ADA@example.org", "--reason", "left the firm").exit_code == 0
    heading, ada, boris = run("list").output.splitlines()
    assert heading.split() == ["address", "name", "role", "since", "state"]
    assert ada.startswith("ada@example.org")
    assert "manager" in ada
    assert ada.endswith("blocked: left the firm")
    assert boris.endswith("not confirmed")
    assert "may sign in again" in run("unblock", "ada@example.org").output
    assert db.session.query(User).filter_by(email="ada@example.org").one().is_active
    assert "blocked" not in run("list").output


def test_what_is_done_at_the_terminal_is_recorded_as_nobodys_act(run) -> None:
    factories.user(email="ada@example.org")
    for args in (("promote", "ada@example.org", "admin"), ("block", "ada@example.org", "--reason", "left the firm")):
        assert run(*args).exit_code == 0
    events = db.session.scalars(select(Event).order_by(Event.id)).all()
    assert [event.action for event in events] == ["role_changed", "blocked"]
    assert {(event.actor_id, event.address) for event in events} == {(None, None)}


@pytest.mark.parametrize("args", [("promote", "x@example.org", "admin"), ("block", "x@example.org", "--reason", "r")])
def test_an_unknown_user_is_said_to_be_unknown(run, args: tuple[str, ...]) -> None:
    result = run(*args)
    assert result.exit_code == 1
    assert "There is no user with this address." in result.output


def test_a_block_needs_a_reason(run) -> None:
    factories.user(email="ada@example.org")
    assert run("block", "ada@example.org").exit_code == 2
    assert run("block", "ada@example.org", "--reason", " ").exit_code == 1


def test_the_right_to_write_the_blog_is_given_and_taken(run) -> None:
    factories.user(email="eva@example.org")
    for options, words, is_editor in (((), "may write", True), (("--revoke",), "may no longer write", False)):
        result = run("editor", "eva@example.org", *options)
        assert result.exit_code == 0, result.output
        assert words in result.output
        found = accounts.find("eva@example.org")
        assert found
        assert found.is_editor is is_editor
    assert run("editor", "nobody@example.org").exit_code == 1
