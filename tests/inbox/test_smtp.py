"""The inbox's mail server, over real sockets."""

from __future__ import annotations

import smtplib
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from mailservice.inbox import store as module
from mailservice.inbox.store import Arrival, Store
from tests.inbox.conftest import Send

ENVELOPE = (b"EHLO me\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<c@d.example>\r\n", b"DATA\r\n")


def talk(port: int, *lines: bytes) -> list[bytes]:
    """Sends each line once the server has answered the one before; the answers' last lines."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s, s.makefile("rb") as replies:
        for line in (b"", *lines):
            s.sendall(line)
            while (reply := replies.readline())[3:4] == b"-":
                pass
            answers.append(reply.rstrip())
    return answers


def letter(port: int, data: bytes) -> list[bytes]:
    return talk(port, *ENVELOPE, data)


def source(store: Store) -> bytes:
    (newest,) = store.find(limit=1)[1]
    found = store.get(newest.id)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"Subject: x\r\n\r\nHello.\r\nBye.\r\n",
        b"no header at all\r\n",
        b"Subject: \xd0\xbf\xff\r\n\r\n\x00\xff\r\n",
        b"x" * 100_000 + b"\r\n",
        b"Subject: bare\n\n.\nline ends\r\r\n",
    ],
    ids=["empty", "blank", "ordinary", "headless", "octets", "long line", "bare line ends"],
)
def test_a_letter_is_kept_octet_for_octet(smtp_port: int, store: Store, content: bytes) -> None:
    assert letter(smtp_port, content + b".\r\n")[-1].startswith(b"250")
    assert source(store) == content


def test_dots_that_the_sender_doubled_are_single_again(smtp_port: int, store: Store) -> None:
    letter(smtp_port, b"..\r\n..one\r\n...two\r\nend.\r\n.\r\n")
    assert source(store) == b".\r\n.one\r\n..two\r\nend.\r\n"


def test_the_envelope_is_kept_too(smtp_port: int, store: Store) -> None:
    with smtplib.SMTP("127.0.0.1", smtp_port, timeout=10) as connection:
        connection.sendmail("bounce@shop.example", ["a@b.example", "c@d.example"], "Subject: x\r\n\r\nHi\r\n")
    (kept,) = store.find()[1]
    assert (kept.envelope_from, kept.envelope_to) == ("bounce@shop.example", ["a@b.example", "c@d.example"])


def test_encoded_headers_are_readable(send: Send, store: Store) -> None:
    send(to="Анна Петрова <anna@example.org>", subject="Скидки, и не только")
    (kept,) = store.find()[1]
    assert (kept.to, kept.subject) == ("Анна Петрова <anna@example.org>", "Скидки, и не только")


def test_commands_out_of_order_are_refused(smtp_port: int) -> None:
    assert talk(smtp_port, b"EHLO me\r\n", b"DATA\r\n")[-1].startswith(b"503")
    assert talk(smtp_port, b"EHLO me\r\n", b"RCPT TO:<a@b.example>\r\n")[-1].startswith(b"503")
    assert talk(smtp_port, b"EHLO me\r\n", b"MAIL FROM\r\n")[-1].startswith(b"501")


def test_a_sender_that_leaves_in_the_middle_leaves_no_letter(smtp_port: int, store: Store, send: Send) -> None:
    with socket.create_connection(("127.0.0.1", smtp_port), timeout=10) as s:
        for line in ENVELOPE:
            s.recv(1000)
            s.sendall(line)
        s.recv(1000)
        s.sendall(b"Subject: cut short\r\n\r\nHel")
    send(subject="whole")
    assert [kept.subject for kept in store.find()[1]] == ["whole"]


def test_a_sender_that_leaves_before_the_answer_does_not_stop_the_inbox(
    smtp_port: int, store: Store, send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued, add = threading.Event(), store.add
    monkeypatch.setattr(store, "add", lambda arrival: (add(arrival), queued.set())[0])
    with closing(sqlite3.connect(tmp_path / "inbox" / "inbox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with socket.create_connection(("127.0.0.1", smtp_port), timeout=10) as s:
            for line in (*ENVELOPE, b"Subject: left\r\n\r\nHello\r\n.\r\n"):
                s.recv(1000)
                s.sendall(line)
            assert queued.wait(10)
        talk(smtp_port, b"EHLO me\r\n")  # answered: by now the inbox has seen that the sender is gone
        other.execute("ROLLBACK")
    send(subject="next")
    assert store.find()[1][0].subject == "next"


@pytest.mark.parametrize(
    ("sender", "head"),
    [
        (b"a@b.example", b"Subject: =?utf-7?q?+2AA-?= sale\r\n"),
        (b"a@b.example", b"Subject: =?unicode_escape?q?=5Cud800?= sale\r\n"),
        (b"\xff@b.example", b"Subject: sale\r\n"),
        (b"a@b.example", b"Subject: sale\r\nX-\xff: y\r\n"),
        (b"a@b.example", b"Subject: sale\r\nContent-Type: text/plain; charset=utf-7\r\n"),
        (b"a@b.example", b"Subject: sale\r\nContent-Type: text/plain; charset=idna\r\n"),
    ],
)
def test_what_is_no_text_is_kept_all_the_same(
    smtp_port: int, store: Store, send: Send, browser: FlaskClient, sender: bytes, head: bytes
) -> None:
    mail_from = b"MAIL FROM:<" + sender + b"> SMTPUTF8\r\n"
    answers = talk(smtp_port, ENVELOPE[0], mail_from, *ENVELOPE[2:], head + b"\r\n+2AA-\r\n.\r\n")
    assert answers[-1].startswith(b"250")
    send(subject="next")
    after, kept = store.find()[1]
    assert (after.subject, kept.subject.endswith("sale")) == ("next", True)
    assert browser.get("/").status_code == 200
    assert browser.get(f"/letters/{kept.id}").status_code == 200


def test_a_letter_that_cannot_be_kept_is_refused_alone(
    smtp_port: int, store: Store, send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def headers(source: bytes) -> dict[str, str]:
        if b"strange" in source:
            raise ValueError(source)
        return read(source)

    read = module.headers
    monkeypatch.setattr(module, "headers", headers)
    with closing(sqlite3.connect(tmp_path / "inbox" / "inbox.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # so that the writer finds the next three together
        first = store.add(Arrival("", [], b"Subject: first\r\n\r\n"))
        futures = [store.add(Arrival("", [], b"Subject: %s\r\n\r\n" % word)) for word in (b"one", b"strange", b"two")]
        other.execute("ROLLBACK")
    for future in (first, futures[0], futures[2]):
        future.result(10)
    assert isinstance(futures[1].exception(10), ValueError)
    assert letter(smtp_port, b"Subject: strange\r\n\r\n.\r\n")[-1].startswith(b"554")
    send(subject="next")
    assert [kept.subject for kept in store.find()[1]] == ["next", "two", "one", "first"]


def test_many_senders_at_once_lose_nothing(smtp_port: int, store: Store) -> None:
    def send(sender: int) -> None:
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=30) as connection:
            for n in range(50):
                connection.sendmail("a@b.example", ["c@d.example"], f"Subject: {sender}-{n}\r\n\r\nHi\r\n")

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    total, found = store.find(limit=1000)
    assert total == 400
    assert len({kept.subject for kept in found}) == 400
