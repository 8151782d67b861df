"""How often one may try, and that nobody uses up the tries of another."""

import logging
import re

import pytest

from mailservice.extensions import limiter
from mailservice.web import limits
from tests import factories
from tests.factories import PASSWORD, post
from tests.servers import valkey_at

ANNA = {"email": "anna@example.org", "password": PASSWORD}
WRONG = ANNA | {"password": "a wrong password"}


def from_(network):
    return {"environ_base": {"REMOTE_ADDR": network}}


def tries(browser, url, data, times, network="192.0.2.1"):
    return [post(browser, url, data, **from_(network)).status_code for _ in range(times)]


def test_guessing_a_password_ends_after_ten_tries_and_the_page_says_when_to_come_back(browser):
    factories.user(email="anna@example.org")
    assert set(tries(browser, "/sign-in", WRONG, 10)) == {422}
    page = post(browser, "/sign-in", ANNA, **from_("192.0.2.1"))
    assert page.status_code == 429
    assert 0 < int(page.headers["Retry-After"]) <= 301
    assert re.search(r"Try again in \d+ (minutes|seconds)", page.text)
    assert "Content-Security-Policy" in page.headers
    page = post(browser, "/sign-in", ANNA, **from_("192.0.2.1"), headers={"Accept-Language": "ru"})
    assert re.search(r"Повторите через \d+ (минут|секунд)[уы]?\.", page.text)


def test_a_stranger_who_guesses_does_not_lock_the_owner_out(app, browser):
    factories.user(email="anna@example.org")
    tries(browser, "/sign-in", WRONG, 11, network="203.0.113.9")
    owner = post(app.test_client(), "/sign-in", ANNA, **from_("192.0.2.1"))
    assert owner.status_code == 302


def test_who_has_used_up_the_tries_at_one_account_may_still_enter_his_own(browser):
    factories.user(email="anna@example.org")
    tries(browser, "/sign-in", WRONG | {"email": "boris@example.org"}, 11)
    assert post(browser, "/sign-in", ANNA, **from_("192.0.2.1")).status_code == 302


def test_an_address_counts_as_one_however_it_is_spelt(browser):
    for n in range(10):
        email = "anna@example.org" if n % 2 else " ANNA@Example.ORG"
        assert post(browser, "/sign-in", WRONG | {"email": email}).status_code == 422
    assert post(browser, "/sign-in", WRONG).status_code == 429


def test_one_network_does_not_go_through_all_addresses(browser):
    codes = [tries(browser, "/sign-in", WRONG | {"email": f"user{n}@example.org"}, 1)[0] for n in range(61)]
    assert codes == [422] * 60 + [429]


def test_the_networks_of_ipv6_are_as_large_as_a_customer_has(app):
    def network(address):
        with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
            return limits.network()

    assert network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::9")
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("192.0.2.1") == network("::ffff:192.0.2.1") != network("192.0.2.2")
    assert network("") == "unknown"


@pytest.mark.parametrize("url", ["/register", "/forgot"])
@pytest.mark.parametrize("known", [True, False])
def test_an_address_is_not_buried_in_letters_whoever_asks(browser, url, known):
    """Known and unknown ones alike: the sixth form is refused from everywhere."""
    if known:
        factories.user(email="anna@example.org")
    codes = [tries(browser, url, ANNA, 1, network=f"192.0.2.{n}")[0] for n in range(6)]
    assert codes == [200] * 5 + [429]


def test_a_new_address_is_not_buried_in_letters_whoever_wants_it(app):
    """By accounts as many as a bot likes."""
    codes = []
    for number in range(6):
        user = factories.user(new_email="anna@example.org")
        browser = factories.sign_in(app.test_client(), user)
        codes += tries(browser, "/account/address/resend", {}, 1, network=f"192.0.2.{number}")
    assert codes == [302] * 5 + [429]


def test_a_form_with_errors_costs_no_letter(browser):
    assert set(tries(browser, "/register", ANNA | {"password": "short"}, 10)) == {422}
    assert tries(browser, "/register", ANNA, 1) == [200]


@pytest.mark.parametrize(
    ("url", "data", "most"),
    [
        ("/resend", {}, 5),
        ("/account/address/resend", {}, 5),
        ("/account/password", {"current_password": "x", "password": "a brand new password"}, 10),
        ("/account/address", {"current_password": "x"}, 10),
        ("/account/delete", {"current_password": "x"}, 10),
    ],
)
def test_a_signed_in_user_has_a_number_of_tries_of_his_own(app, browser, url, data, most):
    factories.sign_in(browser, factories.user(confirmed=False))

    def data_of(n):
        return data | ({"email": f"new{n}@example.org"} if url == "/account/address" else {})

    codes = [post(browser, url, data_of(n)).status_code for n in range(most + 1)]
    assert 429 not in codes[:-1]
    assert codes[-1] == 429
    another = factories.sign_in(app.test_client(), factories.user(confirmed=False))
    assert post(another, url, data_of(most)).status_code != 429


def test_looking_at_a_form_costs_no_try(browser):
    assert {browser.get("/sign-in").status_code for _ in range(70)} == {200}


def test_no_typed_address_is_kept_with_the_counts(browser, redis):
    tries(browser, "/sign-in", WRONG, 1)
    keys = b" ".join(redis.keys("*"))
    assert b"tries" in keys
    assert b"anna" not in keys


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_without_redis_each_process_counts_by_itself(app, browser, redis_url, tmp_path, caplog):
    """It goes away while the app runs, and comes back: no page breaks, and guessing is not free meanwhile."""
    socket = tmp_path / "redis.sock"
    try:
        app.config["RATELIMIT_STORAGE_URI"] = f"redis+unix://{socket}"
        limiter.init_app(app)
        with valkey_at(socket):
            assert tries(browser, "/sign-in", WRONG, 1) == [422]
        with caplog.at_level(logging.WARNING, logger="flask-limiter"):
            assert tries(browser, "/sign-in", WRONG, 10) == [422] * 10
        assert "falling back" in caplog.text
        assert tries(browser, "/sign-in", WRONG, 1) == [429]
    finally:
        app.config["RATELIMIT_STORAGE_URI"] = f"redis+{redis_url}"
        limiter.init_app(app)
        limiter._storage_dead = False


def test_the_refusal_is_in_the_readers_language(browser):
    tries(browser, "/sign-in", WRONG, 10)
    page = post(browser, "/sign-in", WRONG, headers={"Accept-Language": "ru"}, **from_("192.0.2.1"))
    assert page.status_code == 429
    assert '<html lang="ru"' in page.text
