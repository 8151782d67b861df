"""A user's other e-mail address: asked for with the password, confirmed at the new one, told to the old one."""

from __future__ import annotations

from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, Refused
from mailservice.models import User
from mailservice.models.user import new_session_key
from mailservice.services import accounts, addresses, audit, tokens
from mailservice.services.account_letters import AccountLetter
from mailservice.services.audit import Action

Letters = list[tuple[AccountLetter, int]]  # what to ring for after the commit: (kind, user's id)


def check(user: User, email: str) -> addresses.Address:
    """The new address; Invalid beside “email” when it is none or the present one."""
    found = addresses.parse(email)
    if found.normalised == user.email_normalised:
        raise Invalid(_("This is your address already."), field="email")
    return found


def ask(user: User, email: str, *, proof: str, address: str | None) -> Letters:
    """The change waits for its confirmation. `proof` is what `accounts.check_password` returned.

    Whether the new address has a user already is told to nobody but that user.
    """
    accounts.still_proven(user, proof)
    user.new_email = check(user, email).given
    audit.note(user, Action.ADDRESS_CHANGE_ASKED, subject=user, address=address, to=user.new_email)
    notice: Letters = [(AccountLetter.MOVING, user.id)] if user.is_confirmed else []
    return [*letters_again(user), *notice]


def letters_again(user: User) -> Letters:
    """The letter to the new address, or to the user who has it; none when no change waits."""
    if user.new_email is None:
        return []
    other = accounts.find(user.new_email)
    return [(AccountLetter.EXISTS, other.id) if other else (AccountLetter.ADDRESS, user.id)]


def give_up(user: User) -> None:
    """The change is off, and the link in its letter with it."""
    user.new_email = None


def check_owner(found: User, user: User) -> None:
    """Refused where a link made for one user is opened by another."""
    if found.id != user.id:
        raise Refused(_("This link belongs to another account. Sign in with that one."))


def confirm(user: User, token: str, *, secret: str, address: str | None) -> None:
    """The new address is the user's, who is signed out everywhere; Refused for a void token or another's."""
    check_owner(tokens.user_of(token, purpose=tokens.Purpose.ADDRESS, secret=secret, lock=True), user)
    if user.new_email is None:
        raise Refused(_("This link has been used already or is no longer valid."))
    new, old = addresses.parse(user.new_email), user.email
    try:
        with db.session.begin_nested():
            user.email, user.email_normalised = new.given, new.normalised
    except IntegrityError:
        raise Refused(_("This address has an account of its own by now.")) from None
    user.new_email = None
    user.session_key = new_session_key()
    user.confirmed_at = user.confirmed_at or clock.now()
    audit.note(user, Action.ADDRESS_CHANGED, subject=user, address=address, before=old, after=new.given)
