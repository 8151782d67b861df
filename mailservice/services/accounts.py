"""Accounts: registering, proving who one is, and what a person changes about oneself."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, Refused
from mailservice.models import User
from mailservice.models.user import new_session_key
from mailservice.services import addresses, passwords, texts, tokens, zones

LONGEST_NAME = 200


@dataclass(frozen=True)
class Registration:
    """`is_new` is False when the address had a user already: nothing changed, its owner gets a letter.

    Which one depends on whether the owner has confirmed the address: until then it is the link again.
    """

    user: User
    is_new: bool


def check_registration(*, email: str, full_name: str, password: str) -> str:
    """The hash of the password; Invalid for anything that is not acceptable. Slow: outside a transaction."""
    address = addresses.parse(email)
    texts.one_line(full_name, field="full_name", longest=LONGEST_NAME)
    return passwords.hashed(passwords.acceptable(password, email=address.given))


def known_zone(name: str | None) -> str | None:
    """`name` when it is a zone that forms offer: a browser may say anything."""
    return name if name in zones.offered() else None


def register(*, email: str, full_name: str, password_hash: str, language: str, time_zone: str) -> Registration:
    """A new unconfirmed user, or the one who has this address."""
    address = addresses.parse(email)
    if existing := find(address.normalised):
        return Registration(existing, is_new=False)
    user = User(
        email=address.given,
        email_normalised=address.normalised,
        full_name=texts.one_line(full_name, field="full_name", longest=LONGEST_NAME),
        password_hash=password_hash,
        language=language,
        time_zone=time_zone,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
    except IntegrityError:  # somebody was quicker by a moment
        if existing := find(address.normalised):
            return Registration(existing, is_new=False)
        raise
    return Registration(user, is_new=True)


def find(email: str) -> User | None:
    """The user with this address, however it is spelt; None for no user or no address."""
    try:
        normalised = addresses.parse(email).normalised
    except Invalid:
        return None
    return db.session.scalars(select(User).where(User.email_normalised == normalised)).one_or_none()


def authenticate(*, email: str, password: str) -> User:
    """Who signs in. The same words and the same time, whether the address or the password is wrong."""
    user = find(email)
    if not passwords.fits(password, user.password_hash if user else None) or user is None:
        raise Invalid(_("The address or the password is wrong."))
    if not user.is_active:
        raise Refused(_("This account is blocked. Write to the administrator of this service."))
    return user


def confirm(token: str, *, secret: str) -> User:
    """The address of the token's user is his: he has read the letter. Refused for a void token."""
    user = tokens.user_of(token, purpose=tokens.Purpose.CONFIRM, secret=secret, lock=True)
    user.confirmed_at = clock.now()
    return user


def reset_password(token: str, *, password_hash: str, secret: str) -> User:
    """A new password by a letter's link: signed out everywhere, and the address is proven by the way."""
    user = tokens.user_of(token, purpose=tokens.Purpose.RESET, secret=secret, lock=True)
    user.password_hash = password_hash
    user.session_key = new_session_key()
    user.confirmed_at = user.confirmed_at or clock.now()
    return user


def choose_language(user: User, *, language: str) -> None:
    """For pages and for letters to this user."""
    found = db.session.get(User, user.id)
    if found:
        found.language = language
