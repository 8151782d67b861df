import pytest

from mailservice.services import masking


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("ivan@example.org", "i***@example.org"),
        ("i@example.org", "i***@example.org"),
        ('"ivan p"@example.org', "i***@example.org"),
        ("борис@пример.рф", "б***@пример.рф"),
        ("no address", "***"),
        ("", "***"),
    ],
)
def test_an_address_keeps_its_first_letter_and_its_domain(email, masked):
    assert masking.address(email) == masked


@pytest.mark.parametrize(
    ("reply", "masked"),
    [
        ("550 5.1.1 <ivan@example.org>: no such user", "550 5.1.1 <i***@example.org>: no such user"),
        ("550 IVAN@EXAMPLE.ORG... User unknown", "550 I***@EXAMPLE.ORG... User unknown"),
        ("451 from=<news@shop.example>, to=<ivan@example.org>", "451 from=<n***@shop.example>, to=<i***@example.org>"),
        ('550 "ivan p"@example.org is gone', "550 i***@example.org is gone"),
        ("550 see https://example.org/?rcpt=ivan%40example.org", "550 see https:***"),
        ("250 2.0.0 OK", "250 2.0.0 OK"),
        (None, ""),
    ],
)
def test_addresses_within_a_reply_are_masked(reply, masked):
    assert masking.text(reply) == masked


@pytest.mark.parametrize("reply", ["550 user ivan unknown", "550 5.1.1 Ivan... no such user", "550 <ivan>"])
def test_of_the_address_that_a_reply_is_about_the_name_alone_is_masked_too(reply):
    assert "ivan" not in masking.text(reply, known="ivan@example.org").lower().replace("i***", "")


def test_masking_twice_changes_nothing_more():
    once = masking.text("550 <ivan@example.org> unknown", known="ivan@example.org")
    assert masking.text(once, known="ivan@example.org") == once
