"""The table of roles, cell by cell."""

import pytest

from mailservice import clock
from mailservice.models import Role, User
from mailservice.services import access

USER, MANAGER, ADMIN = Role.USER, Role.MANAGER, Role.ADMIN


def person(number, role, **values):
    return User(id=number, role=role, **values)


@pytest.mark.parametrize(
    ("role", "looks", "changes_roles", "disables"),
    [(USER, False, False, False), (MANAGER, True, False, True), (ADMIN, True, True, True)],
)
def test_what_each_role_may(role, looks, changes_roles, disables):
    by = person(1, role)
    assert access.is_staff(by) is looks
    assert access.may_change_role(by) is changes_roles
    assert access.may_disable(by) is disables


@pytest.mark.parametrize(
    ("by", "user", "may"),
    [
        (USER, USER, False),
        (USER, ADMIN, False),
        (MANAGER, USER, True),
        (MANAGER, MANAGER, False),
        (MANAGER, ADMIN, False),
        (ADMIN, USER, True),
        (ADMIN, MANAGER, True),
        (ADMIN, ADMIN, True),
    ],
)
def test_who_blocks_whom(by, user, may):
    assert access.may_block(person(1, by), person(2, user)) is may


@pytest.mark.parametrize("role", list(Role))
def test_nobody_blocks_himself(role):
    assert not access.may_block(person(1, role), person(1, role))


@pytest.mark.parametrize("role", [MANAGER, ADMIN])
def test_a_blocked_manager_may_nothing(role):
    by = person(1, role, blocked_at=clock.now())
    assert not access.is_staff(by)
    assert not access.may_block(by, person(2, USER))
    assert not access.may_change_role(by)
    assert not access.may_disable(by)


def test_the_command_line_may_everything():
    assert access.may_block(None, person(1, ADMIN))
    assert access.may_change_role(None)
    assert access.may_disable(None)
