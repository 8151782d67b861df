"""A compiled letter is the letter that one would build the slow way, whatever people have typed."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from mailservice.jobs import ticks
from mailservice.models import AttemptStatus, Reason
from mailservice.sending import fields, settling
from mailservice.sending.content import compile_content
from mailservice.sending.fields import FieldError, Values
from mailservice.sending.letters import (
    LONGEST_SUBJECT,
    BadLetter,
    Identity,
    LetterPress,
    Recipient,
    check,
    envelope_address,
    preview,
)
from mailservice.sending.unsubscribe_token import key, token
from tests import factories
from tests.engine import attempt_of, due_mailing, run_senders

KEY = key("a key for tests, long enough")
SENDER = '"Shop, “Восток”" <news@shop.example>'
IDENTITY = Identity(7, 3, 5, "00ff00ff00ff00ff", SENDER, "https://mail.example.org", KEY)
HEADERS = (
    *("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id"),
    *("MIME-Version", "Content-Type"),
)
AT = 1_700_000_000.0
FIELDS = [f"{{{{ {name} }}}}" for name in ("full_name", "first_name", "email", "comment")] + ["{{ comment | friend }}"]

anything = st.text(st.characters(blacklist_categories=["Cs"]), max_size=200)
typed = anything.filter(lambda text: "{{" not in text and "}}" not in text)
# Where encodings break: exactly full lines, dots, equals signs, trailing blanks, wide characters.
nasty = st.sampled_from(
    ["=" * 76, "x" * 75, "x" * 76, "x" * 77, "ж" * 40, "💌" * 30, "..\n.", " \n", "From me\n", "\r", "=?utf-8?q?x?="]
)
pieces = st.lists(typed | nasty | st.sampled_from(FIELDS), max_size=8).map("".join)
names = anything | nasty | st.sampled_from(['O\'Hara, "Bob" <b@x.org>', "a\\b", "(comment)", "Иванов Иван Иванович"])
quick = settings(deadline=None, max_examples=150)


def recipient(full_name: str = "Boris Ivanov", comment: str = "", email: str = "boris@example.org") -> Recipient:
    return Recipient(11, email, email.lower(), full_name, comment)


def written(subject: str, body: str, to: Recipient) -> bytes:
    return LetterPress(subject, body, IDENTITY).letter(to, at=AT).content


def read(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def names_of_headers(message: Message) -> tuple[str, ...]:
    return tuple(message.keys())


def words(header: str) -> str:
    """Decoded by the old API: the new one joins adjacent encoded words of a phrase with a blank (bpo-35547)."""
    return str(make_header(decode_header(re.sub(r"\r\n(?=[ \t])", "", header))))


def one_line(text: str) -> str:
    return " ".join(text.split())


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def filled(parts: list[fields.Part], values: Values, escape: Callable[[str], str] = str) -> str:
    """The slow way. A CR that ends one piece and an LF that begins the next are two line ends."""
    return "".join(lines(fields.fill([part], values, escape)) for part in parts)


def values_of(to: Recipient) -> Values:
    url = f"https://mail.example.org/u/{token(KEY, 5, to.email_normalised)}"
    return Values(to.full_name, to.email, to.comment, url)


def assert_is_fit_for_the_wire(content: bytes) -> None:
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", content) is None, "a bare CR or LF"
    assert content.isascii()
    assert b"\x00" not in content
    assert re.search(rb"^\.", content, re.MULTILINE) is None, "a line that begins with a dot"
    head, _, body = content.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert content.endswith(b"\r\n")


def may_be_compiled(subject: str, body: str) -> bool:
    try:
        compile_content(subject, body)
    except FieldError:
        return False
    return True


@quick
@given(pieces, pieces, names, anything)
@example("x" * 67, "x" * 76 + "{{ email }}", "ж" * 23, "")
@example("{{ comment }}", "{{ comment }}" * 3, "", "a\r\n.\r\nb")
@example("", "", "", "")
@example("a\nb", "[x](http://example.org/?a=1&b=2) {{ email }}", "\u2028", "=")
@example("{url} {label}", "{body} {url} {label}", "{url}", "")
@example("s", "q&#102;ield0x <http://x/q%66ield7x> {{ email }}", "", "")
def test_any_letter_is_the_one_built_the_slow_way(subject, body, full_name, comment):
    assume(may_be_compiled(subject, body))
    to = recipient(full_name, comment)
    content = written(subject, body, to)
    assert_is_fit_for_the_wire(content)
    values, parts, message = values_of(to), compile_content(subject, body), read(content)

    assert names_of_headers(message) == HEADERS
    raw = message_from_bytes(content)
    assert words(raw["Subject"]) == one_line(fields.fill(parts.subject, values))[:LONGEST_SUBJECT].strip()
    display, _, address = words(raw["To"]).rpartition(" ") if one_line(full_name) else ("", "", f"<{raw['To']}>")
    assert unquoted(display) == one_line(full_name)
    assert address == "<boris@example.org>"
    assert message["Message-ID"] == "<7.11.00ff00ff00ff00ff@shop.example>"
    assert message["List-Unsubscribe"] == f"<{values.unsubscribe_url}>"

    text, page = message.iter_parts()
    assert (text.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    assert lines(text.get_payload(decode=True).decode()) == filled(parts.text, values)
    assert lines(page.get_payload(decode=True).decode()) == filled(parts.html, values, html.escape)


def test_a_line_that_is_full_before_a_field_is_broken_without_breaking_a_letter():
    """Every length of line, with escapes of one to six octets where the break may fall."""
    for wide in ("", "=", "ж", "=ж", "💌", "ж=\u20ac"):
        for length in range(55, 80):
            piece = "x" * length + wide + "y" * (length % 5)
            content = written("News", piece + "{{ comment }}", recipient(comment=piece))
            assert_is_fit_for_the_wire(content)
            text = read(content).get_body(("plain",)).get_content()
            assert text.splitlines()[0] == piece + piece


def unquoted(phrase: str) -> str:
    if phrase.startswith('"') and phrase.endswith('"') and len(phrase) > 1:
        return re.sub(r"\\(.)", r"\1", phrase[1:-1])
    return phrase


INJECTIONS = [
    "Anna\r\nBcc: thief@example.org",
    "Anna\nBcc: thief@example.org",
    "Anna\rBcc: thief@example.org",
    "Anna\r\n\r\n<script>",
    "Anna\r\n Bcc: thief@example.org",
    "Anna\x00\r\nX: y",
    "Anna\u2028Bcc: thief@example.org",
    "Anna\u0085Bcc: thief@example.org",
    "Anna\x0bBcc: thief@example.org",
    "Anna\x1cBcc: thief@example.org",
    "=?utf-8?q?=0D=0ABcc:_thief@example.org?=",
    "=?utf-8?b?DQpCY2M6IHRoaWVmQGV4YW1wbGUub3Jn?=",
    'Anna" <thief@example.org>, "',
    "Anna <thief@example.org>,",
    "thief@example.org, Anna",
    "Anna\\",
    'Anna\\" <thief@example.org>, "',
    "(Anna",
    "Anna; group: thief@example.org;",
    "--=_00ff00ff00ff00ff--\r\n",
    "\r\n--=_00ff00ff00ff00ff\r\nContent-Type: text/html\r\n\r\nx",
    ".\r\n.\r\nMAIL FROM:<thief@example.org>",
    "{{ email }}\r\nBcc: {{ comment }}",
    "a" * 5000,
    "ж" * 5000,
]


@pytest.mark.parametrize("attack", INJECTIONS, ids=lambda attack: ascii(attack)[1:30])
@pytest.mark.parametrize("place", ["name", "comment", "subject"])
def test_no_text_adds_a_header_a_recipient_or_a_part(attack, place):
    subject = attack if place == "subject" and "{{" not in attack else "News, {{ full_name }}: {{ comment }}"
    to = recipient(attack if place == "name" else "Anna", attack if place == "comment" else "")
    content = written(subject, "{{ full_name }} {{ comment }}", to)
    assert_is_fit_for_the_wire(content)
    message = read(content)
    assert names_of_headers(message) == HEADERS
    assert message["Bcc"] is None
    assert [a.addr_spec for a in message["To"].addresses] == ["boris@example.org"]
    assert [p.get_content_type() for p in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert not message.defects
    page = message.get_body(("html",)).get_content()
    assert "<script>" not in page


@pytest.mark.parametrize(
    "email",
    [
        "a@example.org\r\nBcc: thief@example.org",
        "a@example.org\r\n Bcc: thief@example.org",
        "a@example.org>, <thief@example.org",
        "a@example.org, thief@example.org",
        "a@example.org thief@example.org",
        "a@example.org\x00",
        "<a@example.org>",
        '"a b"@example.org',
        "no address",
        "",
        "анна@example.org",  # needs SMTPUTF8
        "a@-.рф",
        "a@exa\u2028mple.org",
    ],
)
def test_what_is_not_one_address_becomes_no_letter(email):
    with pytest.raises(BadLetter):
        written("News", "Good day", recipient(email=email))


def test_a_domain_of_another_alphabet_is_written_in_ascii_and_the_rest_stays():
    assert envelope_address("Anna.B@почта.рф") == "Anna.B@xn--80a1acny.xn--p1ai"
    letter = LetterPress("News", "Good day", IDENTITY).letter(recipient(email="anna@почта.рф"), at=AT)
    assert letter.recipient == "anna@xn--80a1acny.xn--p1ai"
    assert letter.sender == "news@shop.example"
    assert [a.addr_spec for a in read(letter.content)["To"].addresses] == [letter.recipient]


def test_a_letter_is_the_same_at_every_try_but_for_its_date():
    press = LetterPress("News", "Good day, {{ first_name }}", IDENTITY)
    first, again = press.letter(recipient(), at=AT), press.letter(recipient(), at=AT + 86400)
    other_process = LetterPress("News", "Good day, {{ first_name }}", IDENTITY).letter(recipient(), at=AT)
    assert first == other_process
    assert re.sub(rb"Date: .*", b"", first.content) == re.sub(rb"Date: .*", b"", again.content)
    assert read(first.content)["Date"].datetime.timestamp() == AT


def test_letters_built_together_are_those_built_one_by_one():
    press = LetterPress("News, {{ first_name }}", "Good day, {{ full_name }}", IDENTITY)
    some = [recipient(email=email) for email in ("a@example.org", "anna@почта.рф", "b@example.org")]
    pairs = [(number, to) for number, to in enumerate(some)]
    together = press.letters(pairs, at=AT)
    assert [letter.key for letter in together] == pairs
    assert [letter[1:] for letter in together] == [press.letter(to, at=AT)[1:] for to in some]


def test_letters_of_one_attempt_differ_in_their_message_ids_and_share_no_token():
    press = LetterPress("News", "Good day", IDENTITY)
    one = read(press.letter(Recipient(1, "a@example.org", "a@example.org", "", ""), at=AT).content)
    two = read(press.letter(Recipient(2, "b@example.org", "b@example.org", "", ""), at=AT).content)
    for header in ("Message-ID", "List-Unsubscribe"):
        assert one[header] != two[header]


def test_the_sender_is_written_as_it_is_set():
    sender = read(written("News", "Good day", recipient()))["From"].addresses[0]
    assert (sender.display_name, sender.addr_spec) == ("Shop, “Восток”", "news@shop.example")


def test_a_sender_that_needs_smtputf8_is_refused_before_any_letter():
    with pytest.raises(BadLetter):
        LetterPress("News", "Good day", IDENTITY._replace(sender="Почта <почта@почта.рф>"))


def test_an_attempt_whose_sender_cannot_be_written_stops_and_says_so(app, mail_server):
    mailing = due_mailing(factories.user(), ["a@example.org", "b@example.org"])
    ticks.plan_due()
    settling.prepare(sender="Почта <почта@почта.рф>", seconds=5)
    run_senders(times=2)
    attempt = attempt_of(mailing)
    assert (attempt.status, attempt.reason, attempt.cancelled) == (AttemptStatus.FAILED, Reason.BAD_MESSAGE, 2)
    assert "SMTPUTF8" in attempt.server_reply
    assert mail_server.accepted == []


def page_of(body: str, **values: str) -> str:
    return preview("News", body, **{"full_name": "Anna", "email": "anna@example.org", "comment": "c"} | values).html


def test_what_a_client_is_called_is_text_in_the_page_and_never_markup():
    page = page_of("**{{ full_name }}** `{{ comment }}`", full_name="<b>x</b>", comment="<script>&\"'")
    assert "<strong>&lt;b&gt;x&lt;/b&gt;</strong>" in page
    assert "&lt;script&gt;&amp;&quot;" in page


def test_raw_html_of_a_message_stays_text_and_no_link_runs_code():
    page = page_of("<script>x</script> [a](javascript:alert(1)) ![p](data:text/html,x) <img src=x onerror=y>")
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize(
    "body",
    [
        "[link](https://example.org/{{ email }})",
        "[link]({{ comment }})",
        "![picture](https://example.org/{{ full_name }})",
        "<https://example.org/{{ comment }}>",
        "[link]({{ unsubscribe_url }}{{ comment }})",
        "[link]({{ unsubscribe_url }}/{{ comment }})",
        "[link](https://example.org/?{{ unsubscribe_url }})",
    ],
)
def test_no_link_leads_where_a_clients_data_choose(body):
    assert [problem.field for problem in check("News", body)] == ["body"]


def test_a_link_to_unsubscribe_may_stand_in_the_text():
    assert check("News", "[No more]({{ unsubscribe_url }}) {{ unsubscribe_url }}") == []
    content = written("News", "[No more]({{ unsubscribe_url }})", recipient())
    url = values_of(recipient()).unsubscribe_url
    text, page = (part.get_content() for part in read(content).iter_parts())
    assert re.search(rf'<a href="{re.escape(url)}"[^>]*>No more</a>', page)
    assert text.count(url) == 1


def test_a_text_without_the_link_gets_it_at_its_end():
    text, page = (part.get_content() for part in read(written("News", "Good day", recipient())).iter_parts())
    url = values_of(recipient()).unsubscribe_url
    assert text.rstrip().endswith(url)
    assert f'href="{url}"' in page


def test_words_that_the_machinery_uses_are_only_words():
    body = "{url} {label} {body} qfield0x q&#102;ield999x <http://x.example/q%66ield7x> {{ email }}"
    page = page_of(body)
    assert ">{url} {label} {body} qfield0x qfield999x" in page
    assert page.count("anna@example.org") == 1


def test_the_unsubscribe_link_has_no_place_in_a_subject():
    assert [problem.field for problem in check("{{ unsubscribe_url }}", "")] == ["subject"]
    assert [problem.field for problem in check("{{ nobody }}", "{{ nobody }}")] == ["subject", "body"]


def test_answers_go_to_the_owner_and_to_nobody_else(app):
    letters = LetterPress("Hello", "Text", IDENTITY._replace(reply_to=("Анна, «Зерно»", "anna@example.org")))
    content = letters.letter(Recipient(1, "a@example.org", "a@example.org", "", ""), at=AT).content
    message = message_from_bytes(content, policy=policy.default)
    assert [(a.display_name, a.addr_spec) for a in message["Reply-To"].addresses] == [
        ("Анна, «Зерно»", "anna@example.org")
    ]
