"""Compiled letters: a message becomes bytes once, with holes; a letter is a join.

Quoted-printable (RFC 2045 6.7) is encoded piece by piece: a soft line break before and after each hole makes
every piece begin in column 0, so nothing about one depends on the length of another.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from email.utils import formatdate, parseaddr
from functools import lru_cache
from typing import NamedTuple

import idna

from mailservice.sending import fields
from mailservice.sending.content import Content, Problem, check, compile_content, preview
from mailservice.sending.fields import Hole, Part, Values
from mailservice.sending.unsubscribe_token import Signer
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
PLAIN = re.compile(r"[ -~]*")
ATOMS = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*")
# Values that stand for themselves in quoted-printable and in HTML alike, begin with no dot, and leave room in the line.
SAFE = re.compile(r"[!#-%(-\-/-;?-~](?:[ !#-%(-;?-~]{0,58}[!#-%(-;?-~])?")
# Names and addresses that stand for themselves in a header and in a command: nothing in them can break out.
SIMPLE_NAME = re.compile(r"[A-Za-z0-9]{1,20}(?: [A-Za-z0-9]{1,20}){0,2}")
SIMPLE_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
LONGEST_SUBJECT = 250  # characters, whatever a client's data makes of it
SOFT = b"=\r\n"  # quoted-printable's line break that is none
NOT_ONE_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f<>(),;:\\\"]")
WORD_OCTETS = 45  # of UTF-8 in one encoded word: 60 in base64, 72 with the frame, of 75 (RFC 2047 2)
LINE = 76
DOT_FIRST = re.compile(rb"^\.[^\r\n]*", re.MULTILINE)
SUBJECTS = 2_000  # subject lines kept, since first names come again and again
REMEMBERED = 100  # characters of a value that may come again in the next letter


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


class Slot(NamedTuple):
    """A hole, and where its value goes among a letter's pieces: as text and as HTML."""

    hole: Hole
    as_text: list[int]
    as_html: list[int]


class LetterPress:
    """Builds the letters of one attempt. Raises FieldError or BadLetter where none can be built."""

    def __init__(self, subject: str, body: str, identity: Identity):
        content = compile_content(subject, body)
        self.sender = parseaddr(identity.sender)[1]
        self._identity = identity
        self._clean_sender = SIMPLE_ADDRESS.fullmatch(self.sender) is not None
        self._domain = self.sender.rpartition("@")[2] or "localhost"
        self._subject = content.subject
        self._subject_holes = [part for part in content.subject if isinstance(part, Hole)]
        self._subject_lines: dict[tuple[str, ...], bytes] = {}  # by the values of its holes
        self._from = b"From: " + mailbox(*parseaddr(identity.sender)) + b"\r\n"
        if identity.reply_to:
            self._from += b"Reply-To: " + mailbox(*identity.reply_to) + b"\r\n"
        self._sign = Signer(identity.unsubscribe_key, identity.owner_id)
        self._url = f"{identity.public_url}/u/"
        self._after_id = f".{identity.key}@{self._domain}>\r\nList-Unsubscribe: <{self._url}".encode("ascii")
        self._url_in_body = _softly(qp(html.escape(self._url)))
        self._stamp = (0, b"")
        self._pieces: list[bytes] = [b""]  # what stands around the holes; the first holds what differs in the headers
        self._slots: list[Slot] = []
        self._tokens: list[int] = []  # where the unsubscribe link goes
        self._lay_out(content)

    def _lay_out(self, content: Content) -> None:
        boundary = f"=_{self._identity.key}"
        head = (
            f"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            f"List-Id: <mailing-{self._identity.mailing_id}.{self._domain}>\r\n"
            f"MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        )
        slots: dict[Hole, Slot] = {}
        fixed = head.encode("ascii")
        for subtype, parts in (("plain", content.text), ("html", content.html)):
            fixed += _part_head(boundary, subtype)
            for piece in _encode_parts(parts):
                if isinstance(piece, bytes):
                    fixed += piece
                    continue
                place = len(self._pieces) + 1
                self._pieces += [fixed, b""]
                fixed = b""
                if piece.name == "unsubscribe_url":
                    self._tokens.append(place)
                else:
                    slot = slots.setdefault(piece, Slot(piece, [], []))
                    (slot.as_html if subtype == "html" else slot.as_text).append(place)
        self._pieces.append(fixed + f"--{boundary}--\r\n".encode("ascii"))
        self._slots = list(slots.values())

    def message_id(self, delivery_id: int) -> str:
        """Stable for a delivery, however often it is tried (RFC 5322 3.6.4)."""
        return f"<{self._identity.attempt_id}.{delivery_id}.{self._identity.key}@{self._domain}>"

    def letter(self, to: Recipient, *, at: float, key: object = None) -> Letter:
        """The letter for one recipient; `at` is its Date as a POSIX timestamp. Raises BadLetter.

        `key` is how the caller knows it again; the delivery's id where there is none.
        """
        delivery_id, email, normalised, full_name, comment = to
        signed = self._sign(normalised)
        values = Values(full_name, email, comment, self._url)
        clean = self._clean_sender
        if SIMPLE_ADDRESS.fullmatch(email):
            address = email
        else:
            address, clean = envelope_address(email), False
        if clean and SIMPLE_NAME.fullmatch(full_name):
            named = f"To: {full_name}\r\n <{address}>\r\n".encode("ascii")
        else:
            named = _sound(b"To", b"To: %b\r\n" % mailbox(full_name, address))
        pieces = self._pieces.copy()
        stamp = self._stamp_of(int(at))
        subject = self._subject_line(values)
        pieces[0] = b"%b%b%b%b%d%b%b>" % (self._from, named, subject, stamp, delivery_id, self._after_id, signed)
        for hole, as_text, as_html in self._slots:
            text, page = _encoded(hole.value(values))
            for place in as_text:
                pieces[place] = text
            for place in as_html:
                pieces[place] = page
        link = self._url_in_body + _in_lines(signed)
        for place in self._tokens:
            pieces[place] = link
        return Letter(delivery_id if key is None else key, self.sender, address, b"".join(pieces), clean)

    def _subject_line(self, values: Values) -> bytes:
        filling = tuple([hole.value(values) for hole in self._subject_holes])
        line = self._subject_lines.get(filling)
        if line is None:
            text = _one_line(fields.fill(self._subject, values))[:LONGEST_SUBJECT].strip()
            line = _sound(b"Subject", header_text("Subject", text))
            if len(self._subject_lines) < SUBJECTS:
                self._subject_lines[filling] = line
        return line

    def _stamp_of(self, second: int) -> bytes:
        """Date, and the beginning of Message-ID, which goes on with the delivery's id."""
        if self._stamp[0] != second:
            date = formatdate(second).replace("-0000", "+0000")
            self._stamp = second, f"Date: {date}\r\nMessage-ID: <{self._identity.attempt_id}.".encode("ascii")
        return self._stamp[1]


def _sound(name: bytes, line: bytes) -> bytes:
    """The header, after a look that it is this one alone. Only To and Subject hold a client's data."""
    if HEADER_NAMES.findall(line) != [name]:
        raise BadLetter("its headers are not exactly those expected")
    return line


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


def _encoded(value: str) -> tuple[bytes, bytes]:
    """A hole's value in a text part and in an HTML part, a soft line break behind it."""
    if SAFE.fullmatch(value):
        same = value.encode("ascii") + SOFT
        return same, same
    return _encoded_once(value) if len(value) <= REMEMBERED else _encode(value)


def _encode(value: str) -> tuple[bytes, bytes]:
    return _softly(qp(value)), _softly(qp(html.escape(value)))


_encoded_once = lru_cache(maxsize=4096)(_encode)  # first names come again and again


def qp(text: str) -> bytes:
    """Text as quoted-printable: CRLF line ends, lines of at most 76 octets, none beginning with a dot."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
    encoded = b"\r\n".join(binascii.b2a_qp(line).replace(b"\n", b"\r\n") for line in lines)
    return DOT_FIRST.sub(lambda found: _without_dot(found[0]), encoded) if b"." in encoded else encoded


def _without_dot(line: bytes) -> bytes:
    """A line that begins with a dot, encoded so that it does not: RFC 2049 3 advises it, for servers that stumble."""
    line = b"=2E" + line[1:]
    if len(line) <= LINE:
        return line
    cut = LINE - 4
    while b"=" in line[cut - 2 : cut]:  # never within an escape
        cut -= 1
    rest = line[cut:]
    return line[:cut] + SOFT + (_without_dot(rest) if rest.startswith(b".") else rest)


def _in_lines(signed: bytes) -> bytes:
    """A token, of which every character may stand in quoted-printable and in HTML, and a soft break behind it."""
    if len(signed) < LINE:
        return signed + SOFT
    return b"".join(signed[start : start + LINE - 4] + SOFT for start in range(0, len(signed), LINE - 4))


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
