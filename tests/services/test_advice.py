"""Advice before a message goes out: what would be seen as a fault by those who get it."""

from __future__ import annotations

import pytest

from mailservice.app import create_app
from mailservice.models import MessageKind
from mailservice.services import advice

OURS = "http://127.0.0.1:8000"
LINK = "{{ unsubscribe_url }}"


@pytest.fixture(scope="module", autouse=True)
def english(make_settings):
    with create_app(make_settings()).test_request_context():
        yield


def on(body: str, subject: str = "News", kind: MessageKind = MessageKind.MARKDOWN, preheader: str = "") -> list[str]:
    """Advice on a message that has a link to unsubscribe."""
    found = advice.on(subject, f"{body}\n\n{LINK}", kind=kind, preheader=preheader, public_url=OURS)
    return [piece.text for piece in found]


def test_a_sound_message_gets_no_advice():
    body = (
        f"Hello, {{{{ first_name | friend }}}}!\n\n[Shop](https://shop.example) ![A cup]({OURS}/messages/images/x.jpg)"
    )
    assert on(body) == []


@pytest.mark.parametrize(
    ("body", "subject", "words"),
    [
        (
            "Hello, {{ first_name }}!",
            "News",
            "“Hello, !”. Say what stands instead, for example {{ first_name | friend }}",
        ),
        ("Dear {{ full_name }},\n\nnews", "News", "“Dear ,”"),
        ("You said: {{ comment }}", "News", "“You said:”"),
        ("x", "{{ first_name }}, news", "“, news”"),
        ("x", "{{ first_name }}", "the subject is empty"),
        ("x", "n" * 71, "71 characters"),
        ("[shop]()", "News", "1 link leads nowhere: “shop”"),
        ("[shop](/shop)", "News", "works only within a site: “shop”"),
        ("[shop](www.shop.example)", "News", "works only within a site"),
        ("[shop](https://shop)", "News", "link is broken: “shop”"),
        ("[shop](https:///shop)", "News", "link is broken"),
        ("[shop](http://shop.example)", "News", "begins with http://"),
        ("[a](/a) [b](/b)", "News", "2 links work only within a site: “a”, “b”"),
        ("![](https://shop.example/a.png)", "News", "no text that says what it shows: “https://shop.example/a.png”"),
        ("![cup](a.png)", "News", "will not be found: “a.png”"),
        ("![cup](http://shop.example/a.png)", "News", "fetched by http://"),
    ],
)
def test_each_fault_is_named_in_plain_words(body, subject, words):
    found = on(body, subject)
    assert [text for text in found if words in text]


def test_a_field_alone_in_its_line_or_with_a_default_is_no_fault():
    assert on("Hello!\n\n{{ comment }}\n\n- {{ full_name }}\n\nDear {{ first_name | friend }}, {{ email }}") == []


def test_in_html_an_empty_alt_is_a_word_and_a_missing_one_is_not():
    html = MessageKind.HTML
    assert on('<img src="https://x.example/a.png" alt="">', kind=html) == []
    assert "no text" in on('<img src="https://x.example/a.png">', kind=html)[0]
    assert on("<form><p>x</p></form>", kind=html) == ["Left out, since mail programs do not show it: <form>."]
    assert "leads nowhere: “x”" in on('<a href="javascript:y()">x</a>', kind=html)[0]


def test_what_gmail_would_cut_off_is_told():
    body = "<p>" + "word " * 21_000 + "</p>"
    assert "Gmail cuts off" in on(body, kind=MessageKind.HTML)[0]


@pytest.mark.parametrize("kind", MessageKind)
def test_a_missing_link_to_unsubscribe_weighs_least(kind):
    found = advice.on("", "Hello, {{ first_name }}!", kind=kind, preheader="", public_url=OURS)
    assert [piece.weighs for piece in found] == [True, True, False]
    assert "{{ unsubscribe_url }}" in found[-1].text
