"""A letter: a finished e-mail to one address."""

from typing import Any, NamedTuple


class Letter(NamedTuple):
    """`content` is the complete RFC 5322 message with CRLF line ends, not dot-stuffed.

    `key` is the caller's: it stands for the letter in all that is told of it, since the letter itself is kept only
    until its last octet was queued. (Letters in flight would else push each other out of the processor's cache.)

    `clean`: the caller vouches that both addresses are fit for a command, that the content is not empty, ASCII,
    ends with CRLF, has no bare CR or LF and no line that begins with a dot. Else all of that is looked at.
    """

    key: Any
    sender: str  # envelope sender; "" is the null sender <>
    recipient: str
    content: bytes
    clean: bool = False
