"""How a text is written: its encoding and what divides its cells."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
DELIMITERS = (";", ",", "\t")
ADDRESS = re.compile(r"[^@\s;,\"<>]+@[^@\s;,\"<>]+\.[^@\s;,\"<>.]+")
SEP_LINE = re.compile(r'"?sep=([;,\t])"?;*')  # Excel's own way to name the delimiter
HEAD = 1 << 16  # octets or characters looked at
CHUNK = 1 << 20


def encoding_of(path: Path) -> str:
    """By its mark, by its zeros, by trying; what is none of them is what Russian Excel writes."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        for mark, name in BOMS:
            if head.startswith(mark):
                return name
        if wide := _wide(head):
            return wide
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return "cp1251"
    return "utf-8"


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every second octet of what is Latin in it is zero, and no other one is."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) < max(2, len(head) // 20) or min(even, odd) > max(even, odd) // 50:
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def named_delimiter(text: str) -> str | None:
    """What the first line says when it is “sep=;”."""
    found = SEP_LINE.fullmatch(text.partition("\n")[0].strip(" \r"))
    return found[1] if found else None


def delimiter_of(text: str) -> str:
    """What divides the cells of `text`, the beginning of a file: that with which most cells are addresses."""
    return max(DELIMITERS, key=lambda delimiter: _fitness(text, delimiter))


def _fitness(text: str, delimiter: str) -> tuple[int, float, int]:
    """More addresses, then more records of one width, then wider records."""
    records = sample(text, delimiter)
    addresses = sum(is_address(cell) for cells in records for cell in cells)
    widths = Counter(len(cells) for cells in records)
    width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(1, 0))
    return addresses, count / max(1, len(records)) if width > 1 else 0.0, width


def sample(text: str, delimiter: str) -> Sequence[list[str]]:
    """Its records, the last of which may be cut short; those without any text are left out."""
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)
    records: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # a cell without an end
        records.extend(cells for cells in reader if any(cells))
    return records


def is_address(cell: str) -> bool:
    return ADDRESS.fullmatch(cell.strip()) is not None
