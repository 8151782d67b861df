import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.errors import Invalid, Refused
from mailservice.models import Event, User
from mailservice.services import new_address, tokens
from mailservice.services.account_letters import AccountLetter
from mailservice.services.tokens import Purpose
from tests import factories

SECRET = "a secret"


@pytest.fixture
def user(app):
    return factories.user(email="anna@example.org")


def ask(user, email="New@example.org"):
    with transaction():
        return new_address.ask(user, email, proof=user.password_hash, address="192.0.2.1")


def token(user):
    return tokens.make(user, purpose=Purpose.ADDRESS, secret=SECRET)


def confirm(user, token):
    with transaction():
        new_address.confirm(user, token, secret=SECRET, address="192.0.2.1")


def test_asking_changes_nothing_yet_and_writes_to_both_addresses(user):
    assert ask(user) == [(AccountLetter.ADDRESS, user.id), (AccountLetter.MOVING, user.id)]
    assert (user.email, user.new_email) == ("anna@example.org", "New@example.org")


def test_the_letters_link_changes_the_address_once_and_ends_the_sessions(user):
    ask(user)
    key, link = user.session_key, token(user)
    confirm(user, link)
    assert (user.email, user.email_normalised, user.new_email) == ("New@example.org", "new@example.org", None)
    assert user.session_key != key
    with pytest.raises(Refused):
        confirm(user, link)
    event = db.session.scalars(select(Event).order_by(Event.id.desc())).first()
    assert (event.action, event.actor_id) == ("address_changed", user.id)
    assert event.detail == {"before": "anna@example.org", "after": "New@example.org"}


def test_the_link_dies_when_another_address_is_asked_for_or_the_change_given_up(user):
    ask(user)
    first = token(user)
    ask(user, "other@example.org")
    second = token(user)
    with pytest.raises(Refused):
        confirm(user, first)
    with transaction():
        new_address.give_up(user)
    with pytest.raises(Refused):
        confirm(user, second)
    assert user.email == "anna@example.org"


def test_the_link_is_of_no_use_to_another_user(user):
    ask(user)
    link = token(user)
    with pytest.raises(Refused):
        confirm(factories.user(), link)
    assert db.session.get(User, user.id).email == "anna@example.org"


def test_an_address_that_is_taken_is_told_to_its_user_alone(user):
    other = factories.user(email="new@example.org")
    assert ask(user) == [(AccountLetter.EXISTS, other.id), (AccountLetter.MOVING, user.id)]
    with pytest.raises(Refused):
        confirm(user, token(user))
    assert db.session.get(User, user.id).email == "anna@example.org"


def test_an_unconfirmed_address_gets_no_notice_and_the_new_one_counts_as_confirmed(app):
    user = factories.user(confirmed=False)
    assert ask(user) == [(AccountLetter.ADDRESS, user.id)]
    confirm(user, token(user))
    assert user.is_confirmed


def test_the_present_address_is_no_new_one(user):
    with pytest.raises(Invalid) as refused:
        ask(user, "ANNA@example.org")
    assert refused.value.field == "email"


def test_a_password_that_was_changed_meanwhile_proves_nothing(user):
    with pytest.raises(Invalid), transaction():
        new_address.ask(user, "new@example.org", proof="an older hash", address=None)
    assert user.new_email is None
