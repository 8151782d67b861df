"""Who may do what to whom. Everything else about others' things is a look, or not possible at all."""

from __future__ import annotations

from mailservice.models import Role, User


def is_staff(person: User) -> bool:
    """May look at others' mailings, at all users and at the service itself."""
    return person.is_active and person.role in (Role.MANAGER, Role.ADMIN)


def is_admin(person: User) -> bool:
    return person.is_active and person.role is Role.ADMIN


def may_write_posts(person: User) -> bool:
    """Administrators, and whom they gave the right."""
    return person.is_active and (person.role is Role.ADMIN or person.is_editor)


# Without `by` it is the command line that acts: whoever sits there may everything.


def may_block(by: User | None, user: User) -> bool:
    """Also whether he may let the user in again."""
    if by is None:
        return True
    if by.id == user.id:
        return False
    return is_admin(by) or (is_staff(by) and user.role is Role.USER)


def may_change_role(by: User | None) -> bool:
    return by is None or is_admin(by)


def may_disable(by: User | None) -> bool:
    """Any mailing; also whether he may enable it again."""
    return by is None or is_staff(by)
