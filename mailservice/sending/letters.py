"""Compiled letters: a message becomes bytes once, with holes; a letter is a join.

Quoted-printable (RFC 2045 6.7) is encoded piece by piece: a soft line break before and after each hole makes
every piece begin in column 0, so nothing about one depends on the length of another.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable
from email.utils import formatdate, parseaddr
from typing import NamedTuple

import idna

from mailservice.sending import fields
from mailservice.sending.content import Content, Problem, check, compile_content, preview
from mailservice.sending.fields import Hole, Part, Values
from mailservice.sending.unsubscribe_token import token
from mailservice.smtp.letter import Letter

__all__ = [
    "BadLetter",
    "Identity",
    "LetterPress",
    "Problem",
    "Recipient",
    "check",
    "compile_content",
    "preview",
]

HEADER_NAMES = re.compile(rb"^([!-9;-~]+):", re.MULTILINE)
EXPECTED = [b"To", b"Subject"]  # the headers that hold a client's data; nothing in the others can break out
PLAIN = re.compile(r"[ -~]*")
ATOMS = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*")
# Values that stand for themselves in quoted-printable and in HTML alike, and leave room in their line.
SAFE = re.compile(r"[!#-%(-;?-~](?:[ !#-%(-;?-~]{0,58}[!#-%(-;?-~])?")
SIMPLE_NAME = re.compile(r"[A-Za-z0-9]{1,30}(?: [A-Za-z0-9]{1,30})?")
LONGEST_SUBJECT = 250  # characters, whatever a client's data makes of it
SOFT = b"=\r\n"  # quoted-printable's line break that is none
NOT_ONE_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f<>(),;:\\\"]")
WORD_OCTETS = 45  # of UTF-8 in one encoded word: 60 in base64, 72 with the frame, of 75 (RFC 2047 2)
LINE = 76

Escape = Callable[[str], str]


class BadLetter(ValueError):
    """This letter cannot be built; the text says why."""


class Identity(NamedTuple):
    """What all letters of one attempt share."""

    attempt_id: int
    mailing_id: int
    owner_id: int
    key: str  # random, hex: makes a Message-ID hard to guess
    sender: str  # as in From: Shop <news@shop.example>
    public_url: str
    unsubscribe_key: bytes
    reply_to: tuple[str, str] | None = None  # name and address of who gets the answers


class Recipient(NamedTuple):
    """One delivery's frozen data."""

    delivery_id: int
    email: str
    email_normalised: str
    full_name: str
    comment: str


class LetterPress:
    """Builds the letters of one attempt. Raises FieldError or BadLetter where none can be built."""

    def __init__(self, subject: str, body: str, identity: Identity):
        content = compile_content(subject, body)
        self._identity = identity
        self.sender = parseaddr(identity.sender)[1]
        self._domain = self.sender.rpartition("@")[2] or "localhost"
        self._subject = content.subject
        self._fixed_subject = None
        if not any(isinstance(part, Hole) for part in content.subject):
            self._fixed_subject = self._subject_line(Values("", "", "", ""))
        self._from = b"From: " + mailbox(*parseaddr(identity.sender)) + b"\r\n"
        if identity.reply_to:
            self._from += b"Reply-To: " + mailbox(*identity.reply_to) + b"\r\n"
        self._pieces: list[bytes] = []  # what follows the ids, with room for the holes' values
        self._holes: dict[tuple[Hole, Escape], list[int]] = {}  # where each value goes
        self._date = (0, "")
        self._url_start = _softly(qp(html.escape(f"{identity.public_url}/u/")))
        self._lay_out(content)

    def _lay_out(self, content: Content) -> None:
        boundary = f"=_{self._identity.key}"
        head = (
            f"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            f"List-Id: <mailing-{self._identity.mailing_id}.{self._domain}>\r\n"
            f"MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        ).encode("ascii")
        self._pieces.append(head)
        self._add_part(_part_head(boundary, "plain"), content.text, str)
        self._add_part(_part_head(boundary, "html"), content.html, html.escape)
        self._pieces.append(f"--{boundary}--\r\n".encode("ascii"))

    def _add_part(self, head: bytes, parts: list[Part], escape: Escape) -> None:
        self._pieces.append(head)
        for piece in _encode_parts(parts):
            if isinstance(piece, Hole):
                self._holes.setdefault((piece, escape), []).append(len(self._pieces))
                self._pieces.append(b"")
            else:
                self._pieces.append(piece)

    def message_id(self, delivery_id: int) -> str:
        """Stable for a delivery, however often it is tried (RFC 5322 3.6.4)."""
        return f"<{self._identity.attempt_id}.{delivery_id}.{self._identity.key}@{self._domain}>"

    def letter(self, to: Recipient, *, at: float) -> Letter:
        """The letter for one recipient; `at` is its Date as a POSIX timestamp. Raises BadLetter."""
        identity = self._identity
        signed = token(identity.unsubscribe_key, identity.owner_id, to.email_normalised)
        url = f"{identity.public_url}/u/{signed}"
        values = Values(to.full_name, to.email, to.comment, url)
        address = envelope_address(to.email)
        named = b"To: " + mailbox(to.full_name, address) + b"\r\n" + (self._fixed_subject or self._subject_line(values))
        if HEADER_NAMES.findall(named) != EXPECTED:
            raise BadLetter("its headers are not exactly those expected")
        ids = (
            f"Date: {self._date_of(int(at))}\r\n"
            f"Message-ID: {self.message_id(to.delivery_id)}\r\n"
            f"List-Unsubscribe: <{url}>\r\n"
        )
        pieces = self._pieces.copy()
        for (hole, escape), places in self._holes.items():
            text = hole.value(values)
            if SAFE.fullmatch(text):
                value = text.encode("ascii") + SOFT
            elif hole.name == "unsubscribe_url":
                value = self._url_start + _in_lines(signed)
            else:
                value = _softly(qp(escape(text)))
            for place in places:
                pieces[place] = value
        content = b"".join((self._from, named, ids.encode("ascii"), *pieces))
        return Letter(to.delivery_id, self.sender, address, content)

    def _subject_line(self, values: Values) -> bytes:
        return header_text("Subject", _one_line(fields.fill(self._subject, values))[:LONGEST_SUBJECT].strip())

    def _date_of(self, second: int) -> str:
        if self._date[0] != second:
            self._date = second, formatdate(second).replace("-0000", "+0000")
        return self._date[1]


def _part_head(boundary: str, subtype: str) -> bytes:
    return (
        f"--{boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode("ascii")


def _encode_parts(parts: list[Part]) -> list[bytes | Hole]:
    pieces: list[bytes | Hole] = []
    for position, part in enumerate(parts):
        if isinstance(part, str):
            encoded = qp(part)
            pieces.append(_softly(encoded) if position + 1 < len(parts) else encoded + b"\r\n")
        else:
            pieces.append(part)
    if isinstance(parts[-1] if parts else "", Hole):
        pieces.append(b"\r\n")
    return pieces or [b"\r\n"]


def qp(text: str) -> bytes:
    """Text as quoted-printable: CRLF line ends, lines of at most 76 octets."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
    return b"\r\n".join(binascii.b2a_qp(line).replace(b"\n", b"\r\n") for line in lines)


def _in_lines(signed: str) -> bytes:
    """A token, of which every character may stand in quoted-printable and in HTML, and a soft break behind it."""
    text = signed.encode("ascii")
    return b"".join(text[start : start + LINE - 4] + SOFT for start in range(0, len(text), LINE - 4))


def _softly(encoded: bytes) -> bytes:
    """Quoted-printable with a soft line break behind it, which its last line must have room for."""
    last = len(encoded) - (encoded.rfind(b"\n") + 1)
    if last < LINE:
        return encoded + SOFT
    cut = len(encoded) - 6
    while b"=" in encoded[cut - 2 : cut]:  # never within an escape
        cut -= 1
    return encoded[:cut] + b"=\r\n" + encoded[cut:] + b"=\r\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def envelope_address(email: str) -> str:
    """The address with its domain in ASCII (RFC 5890); the local part stays as the client gave it."""
    if NOT_ONE_ADDRESS.search(email) or "@" not in email:
        raise BadLetter(f"{email!r} is not one address")
    if email.isascii():
        return email
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError as error:
        raise BadLetter(f"the domain of {email} cannot be written in ASCII") from error


def mailbox(name: str, address: str) -> bytes:
    """A mailbox as it stands in a header (RFC 5322 3.4), the name encoded where it must be (RFC 2047)."""
    if SIMPLE_NAME.fullmatch(name) and address.isascii():
        return f"{name}\r\n <{address}>".encode("ascii")
    name = _one_line(name)
    if not address.isascii():
        raise BadLetter(f"the address {address} needs a server that speaks SMTPUTF8")
    if not name:
        return address.encode("ascii")
    if ATOMS.fullmatch(name) and len(name) <= LINE - 6 and "=?" not in name:
        return f"{name}\r\n <{address}>".encode("ascii")
    if PLAIN.fullmatch(name) and len(name) <= LINE - 8 and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"\r\n <{address}>'.encode("ascii")
    return _encoded_words(name) + f"\r\n <{address}>".encode("ascii")


def header_text(name: str, text: str) -> bytes:
    """An unstructured header line, folded and encoded where it must be."""
    if PLAIN.fullmatch(text) and len(name) + 2 + len(text) <= LINE and "=?" not in text:
        return f"{name}: {text}\r\n".encode("ascii")
    return f"{name}: ".encode("ascii") + _encoded_words(text) + b"\r\n"


def _encoded_words(text: str) -> bytes:
    """RFC 2047 words of base64, each of whole characters and at most 75 octets, one to a line."""
    octets = text.encode("utf-8", "replace")
    if len(octets) <= WORD_OCTETS:
        return b"=?utf-8?b?" + base64.b64encode(octets) + b"?="
    words, word = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(word) + len(octets) > WORD_OCTETS:
            words.append(word)
            word = b""
        word += octets
    words.append(word)
    return b"\r\n ".join(b"=?utf-8?b?" + base64.b64encode(word) + b"?=" for word in words)
