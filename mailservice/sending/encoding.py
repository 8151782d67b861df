"""How text stands in a letter: quoted-printable bodies (RFC 2045 6.7), headers and mailboxes (RFC 5322, RFC 2047).

Quoted-printable is encoded piece by piece: a soft line break before and after each hole makes every piece begin
in column 0, so nothing about one depends on the length of another.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from functools import lru_cache

from mailservice.urls import in_ascii

# Names and addresses that stand for themselves in a header and in a command: nothing in them can break out.
_NAME = r"[A-Za-z0-9]{1,20}(?: [A-Za-z0-9]{1,20}){0,2}"
_ADDRESS = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}"
SIMPLE_NAME = re.compile(_NAME)
SIMPLE_ADDRESS = re.compile(_ADDRESS)
SIMPLE_MAILBOX = re.compile(rf"{_NAME}\r\n <{_ADDRESS}>")
PLAIN = re.compile(r"[ -~]*")
ATOMS = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*")
# Values that stand for themselves in quoted-printable and in HTML alike, begin with no dot, and leave room in the line.
SAFE = re.compile(r"[!#-%(-\-/-;?-~](?:[ !#-%(-;?-~]{0,58}[!#-%(-;?-~])?")
SOFT = b"=\r\n"  # quoted-printable's line break that is none
NOT_ONE_ADDRESS = re.compile(r"[\s\x00-\x1f\x7f<>(),;:\\\"]")
WORD_OCTETS = 45  # of UTF-8 in one encoded word: 60 in base64, 72 with the frame, of 75 (RFC 2047 2)
LINE = 76
DOT_FIRST = re.compile(rb"^\.[^\r\n]*", re.MULTILINE)
REMEMBERED = 100  # characters of a value that may come again in the next letter


class BadLetter(ValueError):
    """This letter cannot be built; the text says why."""


def encoded(value: str) -> tuple[bytes, bytes]:
    """A hole's value in a text part and in an HTML part, a soft line break behind it."""
    if SAFE.fullmatch(value):
        same = value.encode("ascii") + SOFT
        return same, same
    return _encoded_once(value) if len(value) <= REMEMBERED else _encode(value)


def _encode(value: str) -> tuple[bytes, bytes]:
    return softly(qp(value)), softly(qp(html.escape(value)))


_encoded_once = lru_cache(maxsize=4096)(_encode)  # first names come again and again


def qp(text: str) -> bytes:
    """Text as quoted-printable: CRLF line ends, lines of at most 76 octets, none beginning with a dot."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").split(b"\n")
    whole = b"\r\n".join(binascii.b2a_qp(line).replace(b"\n", b"\r\n") for line in lines)
    return DOT_FIRST.sub(lambda found: _without_dot(found[0]), whole) if b"." in whole else whole


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


def in_lines(signed: bytes) -> bytes:
    """A token, of which every character may stand in quoted-printable and in HTML, and a soft break behind it."""
    if len(signed) < LINE:
        return signed + SOFT
    return b"".join(signed[start : start + LINE - 4] + SOFT for start in range(0, len(signed), LINE - 4))


def softly(encoded: bytes) -> bytes:
    """Quoted-printable with a soft line break behind it, which its last line must have room for."""
    last = len(encoded) - (encoded.rfind(b"\n") + 1)
    if last < LINE:
        return encoded + SOFT
    cut = len(encoded) - 6
    while b"=" in encoded[cut - 2 : cut]:  # never within an escape
        cut -= 1
    return encoded[:cut] + b"=\r\n" + encoded[cut:] + b"=\r\n"


def one_line(text: str) -> str:
    return " ".join(text.split())


def envelope_address(email: str) -> str:
    """The address with its domain in ASCII (RFC 5890); the local part stays as the client gave it."""
    if NOT_ONE_ADDRESS.search(email) or "@" not in email:
        raise BadLetter(f"{email!r} is not one address")
    if email.isascii():
        return email
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{in_ascii(domain)}"
    except ValueError as error:
        raise BadLetter(f"the domain of {email} cannot be written in ASCII") from error


def mailbox(name: str, address: str) -> bytes:
    """A mailbox as it stands in a header (RFC 5322 3.4), the name encoded where it must be (RFC 2047)."""
    if SIMPLE_NAME.fullmatch(name) and address.isascii():
        return f"{name}\r\n <{address}>".encode("ascii")
    name = one_line(name)
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
