import re

import pytest
from flask_babel import force_locale

from mailservice import clock
from mailservice.services import account_letters, tokens
from mailservice.services.account_letters import AccountLetter
from tests import factories

SECRET = "a secret"


def build(kind, user, sender="Mailservice <mailservice@example.org>"):
    with force_locale("en"):
        return account_letters.build(kind, user=user, sender=sender, public_url="https://mail.example", secret=SECRET)


def bodies(letter):
    return [part.get_content() for part in letter.walk() if not part.is_multipart()]


@pytest.mark.parametrize("kind", [kind for kind in AccountLetter if kind is not AccountLetter.SIGN_UP])
def test_a_letter_is_complete_in_text_and_html(app, kind):
    letter = build(kind, factories.user(email="Anna@example.org", new_email="New@example.org"))
    to = "New@example.org" if kind is AccountLetter.ADDRESS else "Anna@example.org"
    assert [address.addr_spec for address in letter["To"].addresses] == [to]
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Date"]
    assert re.fullmatch(r"<[^<>@]+@example\.org>", letter["Message-ID"])
    assert letter.get_content_type() == "multipart/alternative"
    text, html = bodies(letter)
    assert "https://mail.example/" in text
    assert "https://mail.example/" in html
    raw = letter.as_bytes()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


@pytest.mark.parametrize("kind", [AccountLetter.CONFIRM, AccountLetter.RESET, AccountLetter.ADDRESS])
def test_the_link_opens_what_it_promises(app, kind):
    user = factories.user(confirmed=False, new_email="new@example.org")
    text = bodies(build(kind, user))[0]
    token = re.search(rf"https://mail\.example/{kind}/(\S+)", text)[1]
    assert tokens.user_of(token, purpose=tokens.Purpose(kind.value), secret=SECRET).id == user.id


def test_a_strangers_text_is_not_repeated(app):
    letter = build(AccountLetter.CONFIRM, factories.user(full_name="Win at https://evil.example"))
    assert not any("evil.example" in body for body in bodies(letter))


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("news@shop.example", "", "news@shop.example"),
        ("Shop <news@shop.example>", "Shop", "news@shop.example"),
        ("Shop, Ltd. <news@shop.example>", "Shop, Ltd.", "news@shop.example"),
        ('"Shop, Ltd." <news@shop.example>', "Shop, Ltd.", "news@shop.example"),
        ("Магазин «Ромашка», ООО <news@shop.example>", "Магазин «Ромашка», ООО", "news@shop.example"),
        (r'"The \"Best\" Shop" <news@shop.example>', 'The "Best" Shop', "news@shop.example"),
    ],
)
def test_the_sender_may_have_any_name(app, sender, name, address):
    from email import message_from_bytes
    from email.policy import default

    sent = message_from_bytes(build(AccountLetter.EXISTS, factories.user(), sender).as_bytes(), policy=default)
    (found,) = sent["From"].addresses
    assert (found.display_name, found.addr_spec) == (name, address)


def test_an_international_domain_travels_in_ascii(app):
    user = factories.user(email="anna@пример.рф", email_normalised="anna@xn--e1afmkfd.xn--p1ai")
    assert build(AccountLetter.EXISTS, user)["To"].addresses[0].addr_spec == "anna@xn--e1afmkfd.xn--p1ai"


def test_the_present_address_is_not_told_the_new_one(app):
    letter = build(AccountLetter.MOVING, factories.user(new_email="new@example.org"))
    assert not any("new@example.org" in body for body in bodies(letter))


def test_a_change_of_address_that_is_off_needs_no_letter(app):
    for kind in (AccountLetter.ADDRESS, AccountLetter.MOVING):
        assert account_letters.is_due(kind, factories.user(new_email="new@example.org"))
        assert not account_letters.is_due(kind, factories.user())


def test_what_has_been_done_needs_no_letter(app):
    assert account_letters.is_due(AccountLetter.CONFIRM, factories.user(confirmed=False))
    assert not account_letters.is_due(AccountLetter.CONFIRM, factories.user())
    assert not account_letters.is_due(AccountLetter.RESET, factories.user(blocked_at=clock.now()))
