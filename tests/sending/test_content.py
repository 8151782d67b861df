"""From a body of each kind to the two parts of a letter: what it looks like, reads like, and what is left out."""

from __future__ import annotations

import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailservice.app import create_app
from mailservice.models import MessageKind
from mailservice.sending import content
from mailservice.sending.content import FieldError, TooHeavy, check, compile_content, draft
from mailservice.sending.fields import Values, fill
from mailservice.sending.letters import Identity, LetterPress, Recipient
from tests.e2e.attacks import ATTACKS

MARKDOWN, HTML, PLAIN = MessageKind.MARKDOWN, MessageKind.HTML, MessageKind.PLAIN
IDENTITY = Identity(7, 3, 5, "00ff00ff00ff00ff", "news@shop.example", "https://mail.example.org", b"k" * 32)
anything = st.text(st.characters(blacklist_categories=["Cs"]), max_size=300)
markup = st.lists(
    anything
    | st.sampled_from(ATTACKS)
    | st.sampled_from(
        ["<table>", "<td>", "<p>", "</div>", "<style>", "</style>", "<!--", "-->", '"', "<a href=", "{{ email }}"]
    )
    | st.sampled_from(
        ["* ", "> ", "1. ", "|", "\n", "```\n", "[x](", "![", "{{ first_name | friend }}", "&#0;", "]]>"]
    ),
    max_size=12,
).map("".join)


@pytest.fixture(scope="module", autouse=True)
def english(make_settings):
    with create_app(make_settings()).test_request_context():
        yield


def preview(body: str, kind: MessageKind = MARKDOWN, subject: str = "News", **values: str) -> content.Preview:
    reader = {"full_name": "Anna Petrova", "email": "anna@example.org", "comment": "c"} | values
    return content.preview(subject, body, kind=kind, **reader)


def text_of(body: str, kind: MessageKind = MARKDOWN) -> str:
    """The text part without the link to unsubscribe at its end."""
    return preview(body, kind).text.partition("\n\n-- \n")[0]


LIST = "- one\n- two\n  - nested\n\n3. three\n4. four"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("Good **day**, *you*", "Good day, you"),
        ("# News\n\nGood day", "News\n\nGood day"),
        ("[our shop](https://shop.example/a?b=1&c=2).", "our shop (https://shop.example/a?b=1&c=2)."),
        ("<https://shop.example>", "https://shop.example"),
        ("[write](mailto:a@shop.example)", "write (a@shop.example)"),
        ("![A red cup](https://shop.example/cup.jpg)", "A red cup"),
        ("[![Shop](https://shop.example/i.png)](https://shop.example)", "Shop (https://shop.example)"),
        (LIST, "- one\n- two\n  - nested\n\n3. three\n4. four"),
        ("before\n\n> quoted\n> twice\n\nafter", "before\n\n> quoted\n> twice\n\nafter"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a | b\n1 | 2"),
        ("one\n\n---\n\ntwo", "one\n\n" + "-" * 40 + "\n\ntwo"),
        ("```\na  b\n\n  c\n```\n\nend", "a  b\n\n  c\n\nend"),
        ("one\ntwo", "one\ntwo"),
        ("&lt;b&gt; &amp; <i>", "<b> & <i>"),
        ("Hello, {{ first_name }}!", "Hello, Anna!"),
    ],
)
def test_the_text_part_of_markdown_reads_well(body, text):
    assert text_of(body).rstrip() == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>one</p>\n\n<p>two   three</p>", "one\n\ntwo three"),
        ("<table><tr><td>left</td><td>right</td></tr></table>", "left\nright"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2"),
        ("<div style='display:none'>hidden <b>too</b></div><p>shown</p>", "shown"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("one<br>two<br><br>three", "one\ntwo\n\nthree"),
        ("<a name='x'>anchor</a> <a href='#x'>up</a>", "anchor up"),
        ("<html><head><title>no</title><style>p{color:red}</style></head><body>yes", "yes"),
        ("<script>no</script><!-- no -->yes", "yes"),
    ],
)
def test_the_text_part_of_html_reads_well(body, text):
    assert text_of(body, HTML).rstrip() == text


def test_plain_words_stay_as_they_are_and_their_page_has_links():
    body = "Hello, {{ first_name }} <friend>!\n\n  see https://shop.example/a?b=1&c=2.\nor http://x.example/{{ email }}"
    made = preview(body, PLAIN)
    assert made.text.startswith("Hello, Anna <friend>!\n\n  see https://shop.example/a?b=1&c=2.\nor http://x")
    assert "Hello, Anna &lt;friend&gt;!<br>" in made.html
    assert '<a href="https://shop.example/a?b=1&amp;c=2">https://shop.example/a?b=1&amp;c=2</a>.' in made.html
    assert 'href="http://x' not in made.html  # a client's data lead nowhere


def test_styles_go_into_the_elements_and_those_for_narrow_screens_into_the_head():
    page = preview(
        "<html><head><style>.b{color:red;position:fixed}@media (max-width:600px){.b{color:blue}}</style></head>"
        '<body style="background:#eee"><p class="b" onclick="x()">Hi</p></body></html>',
        HTML,
    ).html
    head, _, body = page.partition("</head>")
    assert "@media (max-width:600px)" in head
    assert '<p class="b" style="color:red">Hi</p>' in body
    assert '<div style="background:#eee">' in body
    assert "<style" not in body
    assert "onclick" not in page


def test_a_body_in_markdown_stands_in_a_layout_of_ours():
    page = preview("# News").html
    assert page.startswith("<!doctype html>")
    assert 'name="viewport"' in page
    assert "max-width:600px" in page
    assert re.search(r'<h1 style="[^"]+">News</h1>', page)


def test_styles_are_not_fetched_and_files_are_not_read(tmp_path):
    secret = tmp_path / "secret.css"
    secret.write_text("p{color:#123456}")
    page = preview(f'<link rel=stylesheet href="file://{secret}"><style>@import "{secret}";</style><p>Hi', HTML).html
    assert "123456" not in page
    assert str(secret) not in page


@pytest.mark.parametrize("kind", MessageKind)
@pytest.mark.parametrize("own", [True, False])
def test_every_letter_has_a_link_to_unsubscribe_and_only_one(kind, own):
    link = {
        MARKDOWN: "[Bye]({{ unsubscribe_url }})",
        HTML: '<a href="{{ unsubscribe_url }}">Bye</a>',
        PLAIN: "{{ unsubscribe_url }}",
    }
    made = compile_content("News", "Hello. " + (link[kind] if own else ""), kind=kind)
    values = Values("", "a@example.org", "", "https://mail.example.org/u/token")
    assert fill(made.html, values, html.escape).count('href="https://mail.example.org/u/token"') == 1
    assert fill(made.text, values).count("https://mail.example.org/u/token") == 1
    assert draft("News", "Hello. " + (link[kind] if own else ""), kind=kind).has_own_link is own


def test_a_link_that_sanitising_took_away_is_added_again():
    assert 'href="#"' in preview("<!-- {{ unsubscribe_url }} -->Hello", HTML).html


@pytest.mark.parametrize(
    "body",
    [
        '<a href="{{ email }}">x</a>',
        '<a href="https://x.example/?{{ comment }}">x</a>',
        '<a href="{{ unsubscribe_url }}{{ comment }}">x</a>',
        '<img src="{{ full_name }}">',
        '<p class="{{ comment }}">x</p>',
        '<p style="color:{{ comment }}">x</p>',
        "<a href={{comment}}>x</a>",
        "<style>@media print { p { color: red } .x{{ comment }} } </style><a href='{{ email }}'>x",
    ],
)
def test_a_clients_data_choose_no_address_and_no_style(body):
    """Either it is refused, or sanitising has left nothing of the field."""
    problems = check("News", body, kind=HTML)
    assert [p.field for p in problems] == ["body"] or "thief" not in preview(
        body, HTML, comment="thief", email="thief"
    ).html


def test_a_clients_data_may_be_the_words_of_a_picture():
    page = preview('<img src="https://x.example/a.png" alt="For {{ first_name }}">', HTML, full_name='"><script>').html
    assert 'alt="For &quot;&gt;&lt;script&gt;"' in page


def test_braces_that_meet_in_styles_are_no_fields():
    assert check("News", "<style>@media print{p{color:red}}</style><p>Hi {{ email }}", kind=HTML) == []


def test_the_preheader_is_hidden_at_the_beginning_and_may_hold_fields():
    made = content.preview(
        "S", "Text", full_name="Anna", email="a@x.org", comment="", preheader="For {{ first_name }} <3"
    )
    assert made.preheader == "For Anna <3"
    hidden = re.search(r'<div style="display:none[^>]*>(.*?)</div>', made.html, re.DOTALL)
    assert hidden
    assert html.unescape(hidden[1]).startswith("For Anna <3")
    assert made.html.index("For Anna") < made.html.index("Text")
    assert "For Anna" not in made.text
    assert [p.field for p in check("S", "x", preheader="{{ unsubscribe_url }}")] == ["preheader"]


HEAVY = {
    "deep": "<div>" * 1_500,
    "deep tables": "<table><tr><td>" * 1_300,  # css-inline would run out of stack and take the process with it
    "closed in comments": "<div><!--</div>-->" * 1_500,
    "many": "<p>x" * 4_001,
    "styles": "<style>" + "".join(f"*{{--a{n}:1}}" for n in range(400)) + "</style>" + "<p>x</p>" * 2_000,
}


@pytest.mark.parametrize("case", HEAVY)
def test_what_would_take_too_long_is_refused_at_once(case):
    began = time.perf_counter()
    assert [problem.field for problem in check("News", HEAVY[case], kind=HTML)] == ["body"]
    assert time.perf_counter() - began < 2
    with pytest.raises(TooHeavy):
        compile_content("News", HEAVY[case], kind=HTML)


def test_a_newsletter_of_usual_weight_is_not_too_heavy():
    row = '<table width="100%"><tr><td style="padding:8px"><a href="https://shop.example"><b>Book</b></a></td></tr></table>'
    rules = "".join(f".c{n}{{color:red}}" for n in range(150))
    nested = "<table><tr><td>" * 12 + "core" + "</td></tr></table>" * 12
    assert check("News", f"<style>{rules}</style>{nested}{row * 300}", kind=HTML) == []


def test_the_heaviest_markdown_is_made_within_seconds():
    longest = content.LONGEST[MARKDOWN]
    for text in ("[", "![a", "a|", "*a ", "- a\n", "> - "):
        began = time.perf_counter()
        compile_content("News", (text * longest)[:longest])
        assert time.perf_counter() - began < 4, text


class Eyes(HTMLParser):
    """What a browser would take for code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag in ("script", "iframe", "object", "embed", "form", "base", "svg", "math", "input", "link"):
            self.found.append(tag)
        for name, value in attrs:
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith("on") or (
                name in ("href", "src") and address.startswith(("javascript:", "data:", "vbscript:"))
            ):
                self.found.append(f"{name}={value}")


@settings(deadline=None, max_examples=120)
@given(markup, st.sampled_from(list(MessageKind)), anything)
def test_any_body_becomes_a_letter_or_is_refused_and_none_is_code(body, kind, name):
    try:
        made = compile_content("News {{ first_name }}", body, kind=kind)
    except (FieldError, TooHeavy):
        assert check("News", body, kind=kind)
        return
    values = Values(name, "a@example.org", name, "https://mail.example.org/u/x")
    eyes = Eyes()
    eyes.feed(fill(made.html, values, html.escape))
    assert eyes.found == []
    letter = LetterPress("News {{ first_name }}", body, IDENTITY, kind=kind).letter(
        Recipient(1, "a@example.org", "a@example.org", name, name), at=1_700_000_000.0
    )
    head = letter.content.partition(b"\r\n\r\n")[0]
    assert len(re.findall(rb"^[!-9;-~]+:", head, re.MULTILINE)) == 10  # no text adds a header
    assert letter.content.isascii()


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
@pytest.mark.parametrize("kind", MessageKind)
def test_no_attack_of_the_corpus_is_code_in_any_kind(attack, kind):
    if check("News", attack, kind=kind):
        return
    eyes = Eyes()
    eyes.feed(preview(attack, kind, full_name=attack, comment=attack).html)
    assert eyes.found == []


def test_what_was_left_out_is_told():
    assert draft("S", "<form><input></form><script></script><p>x", kind=HTML).left_out == ("form", "input", "script")
