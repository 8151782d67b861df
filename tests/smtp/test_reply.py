"""Cutting and reading replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservice.smtp import Reply
from mailservice.smtp.offers import Offers
from mailservice.smtp.reply import ReplyReader


def read(data: bytes) -> tuple[list[Reply], str | None]:
    reader = ReplyReader()
    return [Reply.parse(raw) for raw in reader.feed(data)], reader.garbled


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 2.0.0 Ok: queued\r\n", Reply(250, "2.0.0", "Ok: queued")),
        (b"250\r\n", Reply(250, None, "")),
        (b"250 \r\n", Reply(250, None, "")),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "")),
        (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", Reply(550, "5.1.1", "no\nsuch user")),
        (b"550 4.1.1 of another class\r\n", Reply(550, None, "4.1.1 of another class")),
        (b"250 2.0.0.1 is no code\r\n", Reply(250, None, "2.0.0.1 is no code")),
        (b"250 a\x00b\x1bc\r\n", Reply(250, None, "a\ufffdb\ufffdc")),
        (b"250 \xff\r\n", Reply(250, None, "\ufffd")),
        (b"250 a\rb\r\n", Reply(250, None, "a\ufffdb")),
        ("250 \u202egnirts\r\n".encode(), Reply(250, None, "\ufffdgnirts")),
    ],
)
def test_a_reply_is_read(data: bytes, expected: Reply) -> None:
    assert read(data) == ([expected], None)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"25\r\n",
        b"abc\r\n",
        b"2500 x\r\n",
        b"250_x\r\n",
        b"-50 x\r\n",
        b"099 x\r\n",
        b" 250 x\r\n",
        b"\xb2\xb5\xb0 x\r\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\nb\r\n",
        b"250-x\r\n" * 101,
        b"250 " + b"x" * 65536,
    ],
)
def test_what_is_no_reply_is_garbage(data: bytes) -> None:
    replies, garbled = read(data)
    assert not replies
    assert garbled


def test_replies_before_garbage_still_count() -> None:
    replies, garbled = read(b"250 ok\r\nwhat\r\n250 ok\r\n")
    assert [reply.code for reply in replies] == [250]
    assert garbled


def test_a_hundred_lines_are_read_and_one_line_is_shown_cut_short() -> None:
    replies, garbled = read(b"250-x\r\n" * 99 + b"250 x\r\n")
    assert len(replies) == 1
    assert garbled is None
    assert str(replies[0]) == "250 " + " ".join("x" * 100)
    assert len(str(Reply(250, None, "x" * 5000))) == 1000


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_where_the_network_cuts_does_not_matter(data: bytes, cuts: list[int]) -> None:
    data = b"250-a\r\n250 b\r\n" + data
    whole, parts = ReplyReader(), ReplyReader()
    expected = whole.feed(data)
    found, start = [], 0
    for cut in [*sorted(cuts), len(data)]:
        found += parts.feed(data[start : max(cut, start)])
        start = max(cut, start)
    assert found == expected
    assert bool(parts.garbled) == bool(whole.garbled)
    assert all(str(Reply.parse(raw)).isprintable() for raw in found)


def test_offers_are_read_whatever_their_case_and_nonsense_is_not_an_offer() -> None:
    (reply,), _ = read(
        b"250-mail.test PIPELINING\r\n250-8bitmime\r\n250-Size 1000\r\n250-AUTH=login\r\n250-AUTH PLAIN\r\n"
        b"250-\r\n250 chunking\r\n"
    )
    offers = Offers.parse(reply)
    assert (offers.pipelining, offers.eight_bit, offers.chunking, offers.size) == (False, True, True, 1000)
    assert offers.auth == {"LOGIN", "PLAIN"}
    for size in (b"", b"0", b"x", b"-1", b"9" * 5000):
        (reply,), _ = read(b"250-mail.test\r\n250 SIZE " + size + b"\r\n")
        assert Offers.parse(reply).size is None
