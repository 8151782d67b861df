"""A letter: a finished e-mail to one address."""

from typing import NamedTuple


class Letter(NamedTuple):
    """`content` is the complete RFC 5322 message with CRLF line ends, not dot-stuffed; `key` is the caller's."""

    key: int
    sender: str  # envelope sender; "" is the null sender <>
    recipient: str
    content: bytes
