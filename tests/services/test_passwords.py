import time

import pytest

from mailservice.errors import Invalid
from mailservice.services import passwords
from tests import factories


@pytest.fixture(autouse=True)
def cheap_passwords():
    """Here the parameters are the product's."""


def test_a_password_fits_its_own_hash_only():
    password_hash = passwords.hashed("a long enough password")
    assert password_hash.startswith("$argon2id$")
    assert passwords.fits("a long enough password", password_hash)
    assert not passwords.fits("another password", password_hash)


def test_one_letter_typed_in_two_ways_is_one_letter():
    assert passwords.fits("caf\u0065\u0301 au lait", passwords.hashed("caf\u00e9 au lait"))


@pytest.mark.parametrize(
    "password",
    ["", "1234567", "12345678", "Password1", "qwerty123", "aaaaaaaaaaaa", "Anna@Example.org", "x" * 1025],
)
def test_a_guessable_password_is_refused_beside_its_field(password):
    with pytest.raises(Invalid) as refused:
        passwords.acceptable(password, email="anna@example.org")
    assert refused.value.field == "password"


@pytest.mark.parametrize("password", ["correct horse", "пароль из слов", "xyz1" * 256, " spaces around "])
def test_an_honest_password_is_taken_as_it_is(password):
    assert passwords.acceptable(password, email="anna@example.org") == password


def test_nobody_has_a_password_and_it_takes_as_long_to_say_so():
    def seconds(password_hash):
        began = time.perf_counter()
        assert not passwords.fits("a wrong password", password_hash)
        return time.perf_counter() - began

    known = passwords.hashed("a long enough password")
    somebody = min(seconds(known) for _ in range(3))
    nobody = min(seconds(None) for _ in range(3))
    assert nobody > somebody / 3


def test_a_hash_of_other_parameters_is_made_anew_and_one_of_ours_is_not():
    ours = passwords.hashed("a long enough password")
    assert passwords.better_hash("a long enough password", ours) is None
    weak = factories.HASHER.hash("a long enough password")
    better = passwords.better_hash("a long enough password", weak)
    assert better.split("$")[:4] == ours.split("$")[:4]
    assert passwords.fits("a long enough password", better)


def test_a_broken_hash_in_the_database_fits_nothing():
    assert not passwords.fits("a long enough password", "not a hash")
