import pytest

from mailservice.errors import Invalid
from mailservice.services import texts

SURROGATE = "\ud800"


@pytest.mark.parametrize(
    "text",
    [
        "Hello\r\nBcc: boris@example.org",
        "a\nb",
        "a\x00b",
        "a\x1bb",
        "a\u2028b",
        "a\u2029b",
        "a\x85b",
        "a\u202eb",
        SURROGATE,
        "=?utf-8?q?a=0D=0ABcc:_b?=",
        "News =?utf-8?b?QmNjOg==?= here",
        "x" * 201,
        "x" * 10_000_000,
    ],
)
def test_a_line_refuses_what_could_become_a_header_of_its_own(text):
    with pytest.raises(Invalid) as refused:
        texts.one_line(text, field="subject", longest=200)
    assert refused.value.field == "subject"


@pytest.mark.parametrize("text", ["Привет, мир", "50 % off = nice?", "=?", "?=", "a?b=c?d=", "🎉 Émile’s day"])
def test_an_honest_line_passes(text):
    assert texts.one_line(f"  {text} ", field="subject", longest=200) == text


def test_a_long_text_has_one_kind_of_line_break():
    assert texts.many_lines("a\r\nb\rc\n\td", field="body", longest=100) == "a\nb\nc\n\td"


@pytest.mark.parametrize("text", ["a\x00b", "a\x07b", SURROGATE, "x" * 101])
def test_a_long_text_refuses_control_characters(text):
    with pytest.raises(Invalid):
        texts.many_lines(text, field="body", longest=100)


@pytest.mark.parametrize(
    ("typed", "sought"), [(None, ""), ("  a \x00 b\t", "a b"), (SURROGATE, ""), ("x" * 1000, "x" * 200)]
)
def test_a_search_is_never_an_error(typed, sought):
    assert texts.search_words(typed) == sought


@pytest.mark.parametrize("text", ["\u200b", " \u200b\u200d ", "\ufeff"])
def test_a_text_that_nobody_sees_is_empty(app, text):
    assert texts.one_line(text, field="name", longest=10) == ""
    with pytest.raises(Invalid):
        texts.required(text, field="name")
