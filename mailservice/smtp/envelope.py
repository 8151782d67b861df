"""What is written for a letter: the commands of its envelope, its content, and what we refuse to write at all."""

import re
from io import IncrementalNewlineDecoder
from operator import attrgetter

from .letter import Letter
from .offers import Offers
from .outcome import Rejected, Stage
from .reply import Reply

# Control characters, spaces and brackets end an address or a command early: they are never written.
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]")


DOT = b".\r\n"
_IS_CLEAN, _CONTENT = attrgetter("clean"), attrgetter("content")


def are_plain(letters: list[Letter], offers: Offers) -> bool:
    """Whether nothing about them needs a look."""
    if not all(map(_IS_CLEAN, letters)):
        return False
    return offers.size is None or max(map(len, map(_CONTENT, letters)), default=0) <= offers.size


def refusal(letter: Letter, offers: Offers) -> Rejected | None:
    """Our own refusal of a letter that this server cannot take or that is not fit to be written; else None."""
    content = letter.content
    if are_plain([letter], offers):
        return None
    if _UNSAFE.search(letter.sender):
        return _refuse(501, "5.1.7", "the sender's address has characters that no command may hold", Stage.MAIL)
    if not letter.recipient or _UNSAFE.search(letter.recipient):
        return _refuse(501, "5.1.3", "the address is empty or has characters that no command may hold", Stage.RCPT)
    if not offers.utf8:
        if not letter.recipient.isascii():
            return _refuse(553, "5.6.7", "the address is not ASCII and the server has no SMTPUTF8", Stage.RCPT)
        if not letter.sender.isascii():
            return _refuse(553, "5.6.7", "the sender is not ASCII and the server has no SMTPUTF8", Stage.MAIL)
    if offers.size is not None and len(content) > offers.size:
        text = f"{len(content)} octets are more than the {offers.size} that the server takes"
        return _refuse(552, "5.3.4", text, Stage.SIZE)
    if not _has_clean_lines(content):
        return _refuse(550, "5.6.0", "the content is empty or has a bare CR or LF", Stage.CONTENT)
    if not offers.eight_bit and not content.isascii():
        return _refuse(554, "5.6.3", "the content is 8-bit and the server has no 8BITMIME", Stage.CONTENT)
    return None


def mail(letter: Letter, offers: Offers) -> bytes:
    """MAIL FROM with the parameters that the server offers (RFC 1870, 6152, 6531)."""
    line = b"MAIL FROM:<" + letter.sender.encode() + b">"
    if offers.sizes:
        line += b" SIZE=%d" % len(letter.content)
    if letter.clean:
        return line + b"\r\n"
    if offers.eight_bit and not letter.content.isascii():
        line += b" BODY=8BITMIME"
    if offers.utf8 and not (letter.recipient.isascii() and letter.sender.isascii()):
        line += b" SMTPUTF8"
    return line + b"\r\n"


def rcpt(letter: Letter) -> bytes:
    """RCPT TO for the one recipient."""
    return b"RCPT TO:<" + letter.recipient.encode() + b">\r\n"


def ahead(letter: Letter, offers: Offers, size: int, last: str, *, reset: bool) -> bytes:
    """The commands of a letter of `size` octets in one write, up to `last`, which leads to its content (RFC 2920)."""
    first = "RSET\r\n" if reset else ""
    if letter.clean and offers.sizes:  # nearly always
        return (
            f"{first}MAIL FROM:<{letter.sender}> SIZE={size}\r\nRCPT TO:<{letter.recipient}>\r\n{last}\r\n"
        ).encode()
    return b"%b%b%b%b\r\n" % (first.encode(), mail(letter, offers), rcpt(letter), last.encode())


def stuffed(letter: Letter) -> bytes:
    """The content as DATA wants it before the final dot: dot-stuffed, and its last line ended (RFC 5321 §4.5.2)."""
    content = letter.content
    if letter.clean:
        return content
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _has_clean_lines(content: bytes) -> bool:
    """Whether every CR is followed by LF and every LF preceded by CR; else a server may see a dot that is none."""
    lines = IncrementalNewlineDecoder(None, translate=False)  # in C, a third of the time of counting
    lines.decode(content.decode("latin-1"), final=True)
    return bool(content) and (lines.newlines is None or lines.newlines == "\r\n")


def _refuse(code: int, enhanced: str, text: str, stage: Stage) -> Rejected:
    return Rejected(Reply.local(code, enhanced, text), stage)
