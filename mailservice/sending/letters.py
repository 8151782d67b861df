"""Compiled letters: a message becomes bytes once, with holes; a letter is a join.

What may stand where, `encoding` knows: every piece begins in column 0, so that none depends on another.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from email.utils import formatdate, parseaddr
from typing import Any, NamedTuple

from mailservice.models import MessageKind
from mailservice.sending import fields
from mailservice.sending.claims import Waiting, made
from mailservice.sending.content import Content, Problem, check, compile_content, preview
from mailservice.sending.encoding import (
    SIMPLE_ADDRESS,
    SIMPLE_MAILBOX,
    BadLetter,
    encoded,
    envelope_address,
    header_text,
    in_lines,
    mailbox,
    one_line,
    qp,
    softly,
)
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
    "envelope_address",
    "preview",
]

HEADER_NAMES = re.compile(rb"^([!-9;-~]+):", re.MULTILINE)
LONGEST_SUBJECT = 250  # characters, whatever a client's data makes of it
FILLINGS = 2_000  # of a letter's holes kept, since first names come again and again


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


class Filling(NamedTuple):
    """What one set of values makes of a message: its subject line, and its pieces but for the two kinds of links."""

    subject: bytes
    pieces: list[bytes]


class LetterPress:
    """Builds the letters of one attempt. Raises FieldError or BadLetter where none can be built."""

    def __init__(
        self,
        subject: str,
        body: str,
        identity: Identity,
        *,
        kind: MessageKind = MessageKind.MARKDOWN,
        preheader: str = "",
    ):
        content = compile_content(subject, body, kind=kind, preheader=preheader)
        self.sender = parseaddr(identity.sender)[1]
        self._identity = identity
        self._clean_sender = SIMPLE_ADDRESS.fullmatch(self.sender) is not None
        self._domain = self.sender.rpartition("@")[2] or "localhost"
        self._subject = content.subject
        self._fillings: dict[object, Filling] = {}  # by the values that they depend on
        self._from = b"From: " + mailbox(*parseaddr(identity.sender)) + b"\r\n"
        if identity.reply_to:
            self._from += b"Reply-To: " + mailbox(*identity.reply_to) + b"\r\n"
        self._sign = Signer(identity.unsubscribe_key, identity.owner_id)
        self._url = f"{identity.public_url}/u/"
        self._after_id = f".{identity.key}@{self._domain}>\r\nList-Unsubscribe: <{self._url}".encode("ascii")
        self._url_in_body = softly(qp(html.escape(self._url)))
        self._stamp = (0, b"")
        self._pieces: list[bytes] = [b""]  # what stands around the holes; the first holds what differs in the headers
        self._slots: list[Slot] = []
        self._tokens: list[int] = []  # where the unsubscribe link goes
        self._lay_out(content)
        holes = {slot.hole.name for slot in self._slots} | {p.name for p in content.subject if isinstance(p, Hole)}
        self._by_first_name = holes <= {"first_name"}  # nothing else of a client's makes a difference

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

    def letter(self, to: Recipient | Waiting, *, at: float) -> Letter:
        """The letter for one recipient; `at` is its Date as a POSIX timestamp. Raises BadLetter."""
        return self.letters([(None, to)], at=at)[0]

    def letters(self, pairs: Sequence[tuple[Any, Recipient | Waiting]], *, at: float) -> list[Letter]:
        """The letters for several recipients, each the second of a pair; the pair is its letter's key.

        Raises BadLetter where one of them cannot be built.
        """
        # Of all that a sender does for a letter this takes most, so what is the same for all is looked up once.
        stamp, head, after_id = self._stamp_of(int(at)), self._from, self._after_id
        filling_of, by_first_name, first_name = self._fillings.get, self._by_first_name, fields.first_name
        sign, url, places = self._sign, self._url_in_body, self._tokens
        letters = []
        for pair in pairs:
            delivery_id, email, normalised, full_name, comment = pair[1][:5]
            filling = filling_of(first_name(full_name) if by_first_name else (full_name, email, comment))
            if filling is None:
                filling = self._fill(Values(full_name, email, comment, self._url))
            named, address, clean = f"{full_name}\r\n <{email}>", email, self._clean_sender
            if SIMPLE_MAILBOX.fullmatch(named):
                line = f"To: {named}\r\n".encode("ascii")
            else:
                address, clean = envelope_address(email), clean and SIMPLE_ADDRESS.fullmatch(email) is not None
                line = _sound(b"To", b"To: %b\r\n" % mailbox(full_name, address))
            signed = sign(normalised)
            pieces = filling.pieces.copy()
            pieces[0] = b"%b%b%b%b%d%b%b>" % (head, line, filling.subject, stamp, delivery_id, after_id, signed)
            link = url + in_lines(signed)
            for place in places:
                pieces[place] = link
            letters.append(made(Letter, (pair, self.sender, address, b"".join(pieces), clean)))
        return letters

    def _fill(self, values: Values) -> Filling:
        """The holes filled with a client's data; kept for the next one with the same."""
        text = one_line(fields.fill(self._subject, values))[:LONGEST_SUBJECT].strip()
        pieces = self._pieces.copy()
        for hole, as_text, as_html in self._slots:
            plain, page = encoded(hole.value(values))
            for place in as_text:
                pieces[place] = plain
            for place in as_html:
                pieces[place] = page
        filling = Filling(_sound(b"Subject", header_text("Subject", text)), pieces)
        if len(self._fillings) < FILLINGS:
            by = values.first_name if self._by_first_name else (values.full_name, values.email, values.comment)
            self._fillings[by] = filling
        return filling

    def _stamp_of(self, second: int) -> bytes:
        """Date, and the beginning of Message-ID, which goes on with the delivery's id."""
        if self._stamp[0] == second:
            return self._stamp[1]
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
            pieces.append(softly(encoded) if position + 1 < len(parts) else encoded + b"\r\n")
        else:
            pieces.append(part)
    if isinstance(parts[-1] if parts else "", Hole):
        pieces.append(b"\r\n")
    return pieces or [b"\r\n"]
