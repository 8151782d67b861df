import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailservice.errors import Invalid
from mailservice.services import addresses


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ("  anna@example.org\n", "anna@example.org"),
        ("Anna+News@example.org", "anna+news@example.org"),
        ("anna@Пример.рф", "anna@xn--e1afmkfd.xn--p1ai"),
        ("o'hara@example.org", "o'hara@example.org"),
    ],
)
def test_two_spellings_of_one_address_are_the_same(text, normalised):
    assert addresses.parse(text).normalised == normalised


def test_an_address_is_kept_as_it_was_given():
    assert addresses.parse(" Anna@Example.ORG ").given == "Anna@Example.ORG"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "anna",
        "@example.org",
        "anna@",
        "anna@example",
        "anna@@example.org",
        "anna@example..org",
        "anna@example.org, boris@example.org",
        "Anna <anna@example.org>",
        "anna@example.org\nBcc: boris@example.org",
        "anna\x00@example.org",
        "anna@exam\x00ple.org",
        '"a b"@example.org',
        "anna@[127.0.0.1]",
        "анна@example.org",
        "a" * 300 + "@example.org",
        "x" * 10_000_000,
    ],
)
def test_what_is_no_address_is_refused_beside_its_field(text):
    with pytest.raises(Invalid) as refused:
        addresses.parse(text)
    assert refused.value.field == "email"


LOCAL = st.text(st.sampled_from("aZ0_+-.'é"), max_size=70)
LABEL = st.text(st.sampled_from("aZ0-_éxn"), max_size=65)
DOMAIN = st.builds(".".join, st.lists(LABEL, max_size=4)) | st.sampled_from(
    ["example.org", "Пример.рф", "a.test", "host.local", "xn--e1afmkfd.xn--p1ai", "ab--c.org", "1.2", "org."]
)


@given(st.builds("{}@{}".format, LOCAL, DOMAIN) | st.text(max_size=30))
@example("anna@example.org")
@example("a" * 65 + "@example.org")
@example("anna@" + "a." * 40 + "org")
def test_the_quick_way_for_plain_addresses_answers_as_all_the_rules_do(text):
    text = text.strip()
    assert answer(addresses.parse, text) == answer(addresses.parse_with_care, text)


def answer(parse, text):
    try:
        return parse(text)
    except Invalid:
        return None
