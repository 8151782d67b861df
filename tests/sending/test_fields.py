"""Merge fields: a fixed set of holes; a user's text is never run as code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservice.sending.fields import NAMES, FieldError, Hole, Values, fill, first_name, parse

ANNA = Values("Анна Петрова", "anna@example.org", "from the fair", "https://mail.example.org/u/token")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Good day, {{ first_name }}!", "Good day, Анна!"),
        ("{{full_name}} <{{email}}>", "Анна Петрова <anna@example.org>"),
        ("{{  comment  }}", "from the fair"),
        ("{{ unsubscribe_url }}", "https://mail.example.org/u/token"),
        ("{{ first_name | friend }}", "Анна"),
        ("no fields at all", "no fields at all"),
        ("", ""),
        ("{{{ email }}}", "{anna@example.org}"),
        ("{ first_name } and }{", "{ first_name } and }{"),
        *((other, other) for other in ("100 %", "{% if %}", "{# note #}", "${email}", "%(email)s", "{0}", "<%= x %>")),
    ],
)
def test_fields_are_filled_and_all_else_stays_as_it_is(text, filled):
    assert fill(parse(text), ANNA) == filled


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Dear {{ first_name | friend }}", "Dear friend"),
        ("Dear {{ full_name|dear friend of ours }}", "Dear dear friend of ours"),
        ("Dear {{ first_name | }}!", "Dear !"),
        ("Dear {{ first_name }}!", "Dear !"),
    ],
)
def test_what_is_empty_or_blank_takes_its_default(text, filled):
    for blank in ("", "  ", "\t\n"):
        assert fill(parse(text), Values(blank, "a@example.org", blank, "")) == filled


@pytest.mark.parametrize(
    ("text", "fragment", "unknown"),
    [
        ("{{ name }}", "{{ name }}", True),
        ("Dear {{ First_Name }}", "{{ First_Name }}", True),
        ("{{ password_hash }}", "{{ password_hash }}", True),
        ("{{ email", "{{ email", False),
        ("email }}", "email }}", False),
        ("{{ email.__class__ }}", "{{ email.__class__ }", False),
        ("{{ email | a | b }}", "{{ email | a | b }}", False),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}", False),
        ("{{ }}", "{{ }}", False),
    ],
)
def test_what_is_no_field_of_ours_is_named(text, fragment, unknown):
    with pytest.raises(FieldError) as error:
        parse(text)
    assert error.value.fragment.startswith(fragment[:8])
    assert error.value.unknown is unknown


@given(st.text(st.characters(blacklist_characters="{}", blacklist_categories=["Cs"])), st.sampled_from(NAMES))
def test_a_value_is_put_in_as_it_is_and_never_read_as_a_field(text, name):
    hostile = Values("{{ email }}", "{{ comment }}", "{{ email }} {% raw %}", "{{ full_name }}")
    filled = fill(parse(text + "{{ " + name + " }}" + text), hostile)
    assert filled == text + Hole(name).value(hostile) + text


@pytest.mark.parametrize(
    ("full", "first"),
    [
        ("Anna Petrova", "Anna"),
        ("Петрова Анна Сергеевна", "Анна"),
        ("Иванов Борис Ильич", "Борис"),
        ("Ivanov Boris Petrovich", "Boris"),
        ("Vincent van Gogh", "Vincent"),
        ("Cher", "Cher"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_the_given_name_is_found_in_either_order(full, first):
    assert first_name(full) == first
