"""The inbox's mail server, over real sockets."""

from __future__ import annotations

import smtplib
import socket
import threading

import pytest

from mailservice.inbox.store import Store
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
