"""What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1)."""

from dataclasses import dataclass
from typing import Self

from .reply import Reply


@dataclass(frozen=True, slots=True)
class Offers:
    """The extensions we know. `size` is the largest letter in octets, None where the server names no limit."""

    pipelining: bool = False  # RFC 2920
    chunking: bool = False  # RFC 3030
    eight_bit: bool = False  # RFC 6152
    utf8: bool = False  # RFC 6531
    starttls: bool = False  # RFC 3207
    sizes: bool = False  # RFC 1870: MAIL takes SIZE=
    size: int | None = None
    auth: frozenset[str] = frozenset()  # RFC 4954, upper case

    @classmethod
    def parse(cls, ehlo: Reply) -> Self:
        """Read the lines after the first; what we do not know or cannot read is as if it were not offered."""
        found: dict[str, list[str]] = {}
        for line in ehlo.text.split("\n")[1:]:
            keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
            found.setdefault(keyword, []).extend(values)
        limit = (found.get("SIZE") or ["0"])[0]
        return cls(
            pipelining="PIPELINING" in found,
            chunking="CHUNKING" in found,
            eight_bit="8BITMIME" in found,
            utf8="SMTPUTF8" in found,
            starttls="STARTTLS" in found,
            sizes="SIZE" in found,
            size=(int(limit) or None) if limit.isascii() and limit.isdigit() and len(limit) <= 18 else None,
            auth=frozenset(found.get("AUTH", ())),
        )
