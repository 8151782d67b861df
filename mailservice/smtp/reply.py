"""Replies of a mail server (RFC 5321 §4.2, enhanced status codes of RFC 2034 and RFC 3463)."""

import re
from dataclasses import dataclass
from typing import Self

MAX_LINES = 100
MAX_OCTETS = 64 * 1024
SHOWN = 1000  # characters of a reply worth keeping: what a person reads, what a row stores

_CODES = {b"%03d" % code: code for code in range(100, 1000)}
_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?= |$)")
_PLAIN = re.compile(rb"(?:[2-5][0-9][0-9] [^\r\n]{0,1000}\r\n)+")  # whole replies of one line each
_NOT_PLAIN = bytes([*range(32), 127, ord("\\")])  # what is written otherwise where replies are kept
_LOCAL = "(our own check, the server was not asked)"

RawReply = tuple[int, bytes]
"""A code and the whole reply as it came, its lines joined by LF: cheap, because most replies are only looked at."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. `code` decides, `enhanced` only refines, `text` has its lines joined by LF."""

    code: int
    enhanced: str | None
    text: str

    @classmethod
    def parse(cls, raw: RawReply) -> Self:
        """Decode a reply that ReplyReader found well-formed; no octet of it can make this fail."""
        code, octets = raw
        if b"\n" not in octets:
            text = _printable(octets[4:])
            found = _ENHANCED.match(text)
            if found is None or text[0] != octets[:1].decode():
                return cls(code, None, text)
            return cls(code, found[0], text[found.end() :].lstrip())
        lines = [_printable(line[4:]) for line in octets.split(b"\n")]
        found = _ENHANCED.match(lines[0])
        if found is None or int(found[1]) != code // 100:
            return cls(code, None, "\n".join(lines))
        enhanced = found[0]
        return cls(code, enhanced, "\n".join(line.removeprefix(enhanced).lstrip() for line in lines))

    @classmethod
    def local(cls, code: int, enhanced: str, text: str) -> Self:
        """A refusal that we made up ourselves, marked so that nobody takes it for the server's words."""
        return cls(code, enhanced, f"{_LOCAL} {text}")

    @property
    def is_local(self) -> bool:
        """Whether this is our own refusal and not the server's."""
        return self.text.startswith(_LOCAL)

    def __str__(self) -> str:
        """The reply on one printable line, e.g. "250 2.0.0 Ok: queued as 4F1C2", cut at 1,000 characters."""
        line = f"{self.code} {self.enhanced} {self.text}" if self.enhanced else f"{self.code} {self.text}"
        line = line.replace("\n", " ").rstrip(" ")
        return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


class ReplyReader:
    """Cuts a stream of octets into replies. Once `garbled` is set the stream is not worth reading on."""

    __slots__ = ("_lines", "_octets", "_rest", "garbled")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []  # of the reply that is not complete yet
        self._octets = 0
        self.garbled: str | None = None

    @property
    def has_partial(self) -> bool:
        """Whether octets of an incomplete reply are waiting for the rest."""
        return bool(self._rest or self._lines)

    def feed_yeses(self, data: bytes) -> list[str] | None:
        """The lines of `data` where each is a whole 250 (the last may be 354) and printed as it came; else None."""
        if self._rest or self._lines or data[:4] != b"250 " or data[-2:] != b"\r\n" or not data.isascii():
            return None
        count = data.count(b"\r\n250 ") + 1
        go_on = data.find(b"\r\n354 ")
        if go_on >= 0 and data.find(b"\n", go_on + 2) == len(data) - 1:
            count += 1
        if len(data.translate(None, _NOT_PLAIN)) != len(data) - 2 * count or b"  " in data or b" \r" in data:
            return None
        return data[:-2].decode("ascii").split("\r\n")

    def feed(self, data: bytes) -> list[RawReply]:
        """The replies completed by `data`; those before any garbage are still given, then `garbled` says why."""
        if self.garbled:
            return []
        if not self._rest and not self._lines and _PLAIN.fullmatch(data):  # nearly always
            return [(_CODES[line[:3]], line) for line in data[:-2].split(b"\r\n")]
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        replies: list[RawReply] = []
        for line in lines:
            code = _CODES.get(line[:3])
            mark = line[3:4]
            if code is not None and mark == b" " and not self._lines and len(line) < MAX_OCTETS:
                replies.append((code, line[:-1] if line.endswith(b"\r") else line))
            elif not self._continue(code, mark, line, replies):
                return replies
        if self._octets + len(self._rest) > MAX_OCTETS:
            self.garbled = f"a reply longer than {MAX_OCTETS} octets"
        return replies

    def _continue(self, code: int | None, mark: bytes, line: bytes, replies: list[RawReply]) -> bool:
        """Take a line of a multi-line or unusual reply; False when it is not one."""
        self._octets += len(line) + 1
        line = line.removesuffix(b"\r")
        if code is None or mark not in (b" ", b"-", b"\r", b""):
            self.garbled = f"not a reply: “{_printable(line[:80])}”"
        elif self._lines and self._lines[0][:3] != line[:3]:
            self.garbled = f"a reply with two codes: “{_printable(self._lines[0][:80])}”, “{_printable(line[:80])}”"
        elif len(self._lines) >= MAX_LINES:
            self.garbled = f"a reply of more than {MAX_LINES} lines"
        elif self._octets > MAX_OCTETS:
            self.garbled = f"a reply longer than {MAX_OCTETS} octets"
        if self.garbled or code is None:
            return False
        self._lines.append(line)
        if mark != b"-":
            replies.append((code, b"\n".join(self._lines)))
            self._lines = []
            self._octets = 0
        return True


def _printable(octets: bytes) -> str:
    """Text that is safe to print, store and log: bad UTF-8 and control characters become U+FFFD."""
    text = octets.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
