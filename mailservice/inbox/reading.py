"""Reading a letter's source: decoded headers, the HTML and the text in it. Never fails, whatever was sent."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message


@dataclass(frozen=True)
class Content:
    """What there is to see in a letter; None where it has no such part."""

    html: str | None
    text: str | None
    headers: list[tuple[str, str]]


def content(source: bytes) -> Content:
    message = message_from_bytes(source, policy=policy.compat32)
    return Content(_part(message, "text/html"), _part(message, "text/plain"), _headers(message))


def headers(source: bytes) -> dict[str, str]:
    """The first header of each name, in lower case. Reads no further than the head."""
    head = source.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    # The old policy parses ten times as fast, and lazily.
    found = _headers(message_from_bytes(head, policy=policy.compat32))
    return {name.lower(): value for name, value in reversed(found)}


def text_of(source: bytes) -> str:
    """The source as text, octet for octet as far as it is UTF-8."""
    return source.decode("utf-8", "replace").replace("\r\n", "\n")


def _headers(message: Message) -> list[tuple[str, str]]:
    return [(printable(name), decoded(str(value))) for name, value in message.raw_items()]


def decoded(value: str) -> str:
    """A header's value as people read it; as it stands where it is not decodable."""
    # Raw octets above 127 come as surrogates: a careless sender's UTF-8.
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" in text:
        with contextlib.suppress(HeaderParseError, LookupError, UnicodeError, ValueError):
            text = str(make_header(decode_header(text)))
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """Without lone surrogates, which are raw octets or come of strange charsets: no file and no page takes them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _part(message: Message, kind: str) -> str | None:
    """The first part of this type that is not an attachment."""
    for part in message.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            octets = payload if isinstance(payload, bytes) else b""
            return _text(octets, part.get_content_charset("utf-8")).replace("\r\n", "\n")
    return None


def _text(octets: bytes, charset: str) -> str:
    try:
        return printable(octets.decode(charset, "replace"))
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
