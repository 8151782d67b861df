from datetime import timedelta

import pytest
import time_machine

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Refused
from mailservice.models import User
from mailservice.services import tokens
from mailservice.services.tokens import Purpose
from tests import factories

SECRET = "a secret"


def change(user, **values):
    with transaction():
        for name, value in values.items():
            setattr(db.session.get(User, user.id), name, value)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_names_its_user(app, purpose):
    user = factories.user(confirmed=False)
    token = tokens.make(user, purpose=purpose, secret=SECRET)
    assert tokens.user_of(token, purpose=purpose, secret=SECRET).id == user.id


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_is_for_one_purpose(app, purpose):
    token = tokens.make(factories.user(confirmed=False), purpose=purpose, secret=SECRET)
    for other in set(Purpose) - {purpose}:
        with pytest.raises(Refused):
            tokens.user_of(token, purpose=other, secret=SECRET)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_dies_of_age(app, purpose):
    token = tokens.make(factories.user(confirmed=False), purpose=purpose, secret=SECRET)
    lifetime = tokens.LIFETIME[purpose]
    with time_machine.travel(clock.now() + lifetime - timedelta(seconds=5), tick=False):
        tokens.user_of(token, purpose=purpose, secret=SECRET)
    with time_machine.travel(clock.now() + lifetime + timedelta(seconds=5), tick=False):
        with pytest.raises(Refused):
            tokens.user_of(token, purpose=purpose, secret=SECRET)


@pytest.mark.parametrize(
    ("purpose", "changed"),
    [
        (Purpose.CONFIRM, {"confirmed_at": clock.now()}),
        (Purpose.CONFIRM, {"email_normalised": "new@example.org"}),
        (Purpose.RESET, {"password_hash": "another"}),
        (Purpose.RESET, {"session_key": "another"}),
        (Purpose.RESET, {"email_normalised": "new@example.org"}),
        (Purpose.ADDRESS, {"email_normalised": "new@example.org"}),
        (Purpose.ADDRESS, {"new_email": "another@example.org"}),
        (Purpose.ADDRESS, {"session_key": "another"}),
    ],
)
def test_a_token_dies_of_what_it_was_for(app, purpose, changed):
    user = factories.user(confirmed=False)
    token = tokens.make(user, purpose=purpose, secret=SECRET)
    change(user, **changed)
    with pytest.raises(Refused):
        tokens.user_of(token, purpose=purpose, secret=SECRET)


def test_a_token_of_another_installation_is_nothing(app):
    token = tokens.make(factories.user(), purpose=Purpose.RESET, secret="another secret")
    with pytest.raises(Refused):
        tokens.user_of(token, purpose=Purpose.RESET, secret=SECRET)


@pytest.mark.parametrize("token", ["", "x", "....", "a.b.c", "WzEsMl0.x.y", "\x00", "й" * 50, "x" * 100_000])
def test_any_text_is_a_void_token_at_worst(app, token):
    with pytest.raises(Refused):
        tokens.user_of(token, purpose=Purpose.CONFIRM, secret=SECRET)


def test_a_token_of_a_user_who_is_gone_is_void(app):
    user = factories.user(confirmed=False)
    token = tokens.make(user, purpose=Purpose.CONFIRM, secret=SECRET)
    with transaction():
        db.session.delete(db.session.get(User, user.id))
    with pytest.raises(Refused):
        tokens.user_of(token, purpose=Purpose.CONFIRM, secret=SECRET)
