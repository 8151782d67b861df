"""Accounts: registering, proving who one is, and what a person changes about oneself."""

from __future__ import annotations

from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from config import LANGUAGES
from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, Refused
from mailservice.models import Mailing, User, UserSession
from mailservice.models.user import new_session_key
from mailservice.services import addresses, audit, passwords, sessions, texts, tokens, zones
from mailservice.services.audit import Action

LONGEST_NAME = 200


@dataclass(frozen=True)
class Registration:
    """`is_new` is False when the address had a user already: nothing changed, its owner gets a letter.

    Which one depends on whether the owner has confirmed the address: until then it is the link again.
    """

    user: User
    is_new: bool


@dataclass(frozen=True)
class Proof:
    """Somebody knows the password of this user: the hash that it fitted, and a better one where that is outdated."""

    user_id: int
    password_hash: str
    better_hash: str | None


def check_registration(*, email: str, full_name: str, password: str) -> str:
    """The hash of the password; Invalid for anything that is not acceptable. Slow: outside a transaction."""
    address = addresses.parse(email)
    texts.one_line(full_name, field="full_name", longest=LONGEST_NAME)
    return passwords.hashed(passwords.acceptable(password, email=address.given))


def known_zone(name: str | None) -> str | None:
    """`name` when it is a zone that forms offer: a browser may say anything."""
    return name if name in zones.offered() else None


def register(
    *, email: str, full_name: str, password_hash: str, language: str, time_zone: str, address: str | None = None
) -> Registration:
    """A new unconfirmed user, or the one who has this e-mail address."""
    found = addresses.parse(email)
    if existing := find(found.normalised):
        return Registration(existing, is_new=False)
    user = User(
        email=found.given,
        email_normalised=found.normalised,
        full_name=texts.one_line(full_name, field="full_name", longest=LONGEST_NAME),
        password_hash=password_hash,
        language=language,
        time_zone=time_zone,
    )
    try:
        with db.session.begin_nested():
            db.session.add(user)
    except IntegrityError:  # somebody was quicker by a moment
        if existing := find(found.normalised):
            return Registration(existing, is_new=False)
        raise
    audit.note(user, Action.REGISTERED, subject=user, address=address)
    return Registration(user, is_new=True)


def find(email: str) -> User | None:
    """The user with this address, however it is spelt; None for no user or no address."""
    try:
        normalised = addresses.parse(email).normalised
    except Invalid:
        return None
    return db.session.scalars(select(User).where(User.email_normalised == normalised)).one_or_none()


def authenticate(*, email: str, password: str) -> Proof:
    """Who may sign in. The same words and the same time, whether the address or the password is wrong.

    Slow: outside a transaction.
    """
    user = find(email)
    if not passwords.fits(password, user.password_hash if user else None) or user is None:
        raise _wrong()
    if not user.is_active:
        raise Refused(_("This account is blocked. Write to the administrator of this service."))
    return Proof(user.id, user.password_hash, passwords.better_hash(password, user.password_hash))


def sign_in(proof: Proof, *, remembered: bool, browser: str, address: str | None) -> UserSession:
    """Begins a session, unless the password has been changed or the user blocked in the meantime."""
    user = db.session.get(User, proof.user_id, with_for_update={"key_share": True})
    if user is None or user.password_hash != proof.password_hash or not user.is_active:
        raise _wrong()
    user.password_hash = proof.better_hash or user.password_hash
    return sessions.start(user, remembered=remembered, browser=browser, address=address)


def check_password(user: User, password: str, *, field: str = "current_password") -> str:
    """The hash that the password fitted; Invalid beside `field` for a wrong one. Slow: outside a transaction."""
    if not passwords.fits(password, user.password_hash):
        raise _not_his_password(field)
    return user.password_hash


def confirm(token: str, *, secret: str, password_hash: str | None = None, address: str | None = None) -> User:
    """The address of the token's user is his: he has read the letter. Refused for a void token.

    With `password_hash` the password is replaced: whoever registered may have been somebody else.
    """
    user = tokens.user_of(token, purpose=tokens.Purpose.CONFIRM, secret=secret, lock=True)
    if password_hash:
        _take_over(user, password_hash)
    user.confirmed_at = clock.now()
    audit.note(user, Action.ADDRESS_CONFIRMED, subject=user, address=address)
    return user


def reset_password(token: str, *, password_hash: str, secret: str, address: str | None = None) -> User:
    """A new password by a letter's link: signed out everywhere, and the address is proven by the way."""
    user = tokens.user_of(token, purpose=tokens.Purpose.RESET, secret=secret, lock=True)
    if user.is_confirmed:
        set_password(user, password_hash)
    else:
        _take_over(user, password_hash)
        user.confirmed_at = clock.now()
    audit.note(user, Action.PASSWORD_CHANGED, subject=user, address=address, by="letter")
    return user


def still_proven(user: User, proof: str) -> None:
    """Locks the user; Invalid when the password has been changed since `check_password` returned `proof`."""
    found = db.session.get(User, user.id, with_for_update=True, populate_existing=True)
    if found is None or found.password_hash != proof:
        raise _not_his_password("current_password")


def change_password(user: User, *, proof: str, password_hash: str, address: str | None) -> None:
    """Signs the user out everywhere. `proof` is what `check_password` returned."""
    still_proven(user, proof)
    set_password(user, password_hash)
    audit.note(user, Action.PASSWORD_CHANGED, subject=user, address=address)


def set_password(user: User, password_hash: str) -> None:
    """Ends all sessions; a change of address that waits for its confirmation is off."""
    user.password_hash = password_hash
    user.session_key = new_session_key()
    user.new_email = None


def change_profile(user: User, *, full_name: str, language: str, time_zone: str) -> None:
    """Invalid beside the field that is wrong."""
    if language not in LANGUAGES:
        raise Invalid(_("Choose a language from the list."), field="language")
    if time_zone not in zones.every():
        raise Invalid(_("There is no such time zone. Choose one from the list."), field="time_zone")
    user.full_name = texts.one_line(full_name, field="full_name", longest=LONGEST_NAME)
    user.language, user.time_zone = language, time_zone


def choose_language(user: User, *, language: str) -> None:
    """For pages and for letters to this user."""
    found = db.session.get(User, user.id)
    if found:
        found.language = language


def _take_over(user: User, password_hash: str) -> None:
    """The address turns out to be this person's, the account may have been made by another one.

    That one's password and sessions end, and nothing that he may have prepared goes out by itself.
    """
    set_password(user, password_hash)
    prepared = update(Mailing).where(Mailing.owner_id == user.id, Mailing.paused_at.is_(None))
    db.session.execute(prepared.values(paused_at=clock.now()))


def _not_his_password(field: str) -> Invalid:
    return Invalid(_("This is not your password."), field=field)


def _wrong() -> Invalid:
    return Invalid(_("The address or the password is wrong."))
