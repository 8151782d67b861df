import threading

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import Mailing, User
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
    assert accounts.authenticate(email=" ANNA@example.org ", password=factories.PASSWORD).user_id == user.id


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


def sign_in(proof):
    with transaction():
        return accounts.sign_in(proof, remembered=False, browser="Firefox", address="192.0.2.1")


def test_a_hash_made_with_other_parameters_is_made_anew_at_sign_in(app):
    weaker = PasswordHasher(time_cost=1, memory_cost=16, parallelism=1).hash(factories.PASSWORD)
    user = factories.user(email="anna@example.org")
    with transaction():
        user.password_hash = weaker
    sign_in(accounts.authenticate(email="anna@example.org", password=factories.PASSWORD))
    assert user.password_hash.split("$")[3] == "m=8,t=1,p=1"
    assert accounts.authenticate(email="anna@example.org", password=factories.PASSWORD).better_hash is None


@pytest.mark.parametrize("change", [{"password_hash": "another"}, {"blocked_at": clock.now()}])
def test_a_password_that_fitted_a_moment_ago_opens_nothing_after_a_change(app, change):
    user = factories.user(email="anna@example.org")
    proof = accounts.authenticate(email="anna@example.org", password=factories.PASSWORD)
    with transaction():
        for name, value in change.items():
            setattr(db.session.get(User, user.id), name, value)
    with pytest.raises(Invalid):
        sign_in(proof)


def test_a_new_password_ends_the_sessions_and_a_change_of_address(app):
    user = factories.user(new_email="new@example.org")
    key = user.session_key
    with transaction():
        accounts.change_password(user, proof=user.password_hash, password_hash="another", address=None)
    assert (user.password_hash, user.session_key == key, user.new_email) == ("another", False, None)
    with pytest.raises(Invalid), transaction():
        accounts.change_password(user, proof="an older hash", password_hash="third", address=None)
    assert user.password_hash == "another"


@pytest.mark.parametrize(
    ("field", "value"), [("language", "xx"), ("time_zone", "Mars/Base"), ("full_name", "Anna\r\nBcc: x")]
)
def test_a_profile_that_cannot_be_is_told_beside_its_field_and_nothing_changes(app, field, value):
    user = factories.user()
    values = {"full_name": "Bella", "language": "ru", "time_zone": "Asia/Tokyo"} | {field: value}
    with pytest.raises(Invalid) as refused, transaction():
        accounts.change_profile(user, **values)
    assert refused.value.field == field
    assert (user.full_name, user.language) == ("Anna Petrova", "en")


def test_who_proves_an_address_that_another_registered_takes_the_account_over(app):
    """The other one's password and sessions end, and nothing that he prepared goes out."""
    user = factories.user(confirmed=False)
    mailing = factories.mailing(user)
    key = user.session_key
    with transaction():
        token = tokens.make(user, purpose=Purpose.CONFIRM, secret=SECRET)
        accounts.confirm(token, secret=SECRET, password_hash="the owner's")
    assert user.is_confirmed
    assert (user.password_hash, user.session_key == key) == ("the owner's", False)
    assert db.session.get(Mailing, mailing.id).paused_at


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
    assert accounts.authenticate(email=user.email, password="a new password").user_id == user.id
    with pytest.raises(Invalid):
        accounts.authenticate(email=user.email, password=factories.PASSWORD)
