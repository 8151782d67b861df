import threading

import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import User
from mailservice.services import accounts, passwords, tokens
from mailservice.services.tokens import Purpose
from tests import factories

SECRET = "a secret"


def register(email="anna@example.org"):
    with transaction():
        return accounts.register(
            email=email, full_name="Anna", password_hash="x", language="en", time_zone="Europe/Moscow"
        )


def test_a_new_user_is_not_confirmed(app):
    registration = register("Anna@Example.org")
    assert registration.is_new
    assert (registration.user.email, registration.user.email_normalised) == ("Anna@Example.org", "anna@example.org")
    assert not registration.user.is_confirmed


def test_an_address_has_one_user_however_it_is_spelt(app):
    first = register("anna@example.org").user.id
    again = register("ANNA@example.ORG")
    assert (again.user.id, again.is_new) == (first, False)


def test_two_who_register_one_address_at_once_get_one_user(app):
    found = []

    def run():
        with app.app_context():
            found.append(register().is_new)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, False, False, True]
    assert db.session.scalar(select(func.count()).select_from(User)) == 1


def test_the_right_password_opens(app):
    user = factories.user(email="anna@example.org")
    assert accounts.authenticate(email=" ANNA@example.org ", password=factories.PASSWORD).id == user.id


def test_a_wrong_address_and_a_wrong_password_get_the_same_answer(app):
    factories.user(email="anna@example.org")
    answers = set()
    for email, password in (
        ("anna@example.org", "a wrong password"),
        ("nobody@example.org", factories.PASSWORD),
        ("no address", "x"),
    ):
        with pytest.raises(Invalid) as refused:
            accounts.authenticate(email=email, password=password)
        answers.add((refused.value.message, refused.value.field))
    assert len(answers) == 1


def test_a_blocked_user_is_told_only_after_the_right_password(app):
    factories.user(email="anna@example.org", blocked_at=clock.now())
    with pytest.raises(Refused):
        accounts.authenticate(email="anna@example.org", password=factories.PASSWORD)
    with pytest.raises(Invalid):
        accounts.authenticate(email="anna@example.org", password="a wrong password")


def test_a_link_confirms_once(app):
    user = factories.user(confirmed=False)
    token = tokens.make(user, purpose=Purpose.CONFIRM, secret=SECRET)
    with transaction():
        accounts.confirm(token, secret=SECRET)
    assert db.session.get(User, user.id).is_confirmed
    with pytest.raises(Refused), transaction():
        accounts.confirm(token, secret=SECRET)


def test_a_new_password_ends_all_sessions_and_proves_the_address(app):
    user = factories.user(confirmed=False)
    key = user.session_key
    token = tokens.make(user, purpose=Purpose.RESET, secret=SECRET)
    with transaction():
        accounts.reset_password(token, password_hash=passwords.hashed("a new password"), secret=SECRET)
    assert user.session_key != key
    assert user.is_confirmed
    assert accounts.authenticate(email=user.email, password="a new password").id == user.id
    with pytest.raises(Invalid):
        accounts.authenticate(email=user.email, password=factories.PASSWORD)
