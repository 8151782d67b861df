"""Tables as files, CSV and XLSX, written row by row; no cell of them runs as a formula."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any
from xml.sax.saxutils import escape

Cell = str | int | None
Rows = Iterable[Sequence[Cell]]

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # a spreadsheet runs what begins so
AT_ONCE = 64 * 1024  # octets, about: smaller pieces are gathered
MOST_ROWS = 1_048_576  # that a sheet holds
MOST_OCTETS = 1_500_000_000  # of a sheet: beyond 2 GiB a zip file needs what not every program reads
LONGEST = 32_767  # characters that a cell holds
_IMPOSSIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # in XML


def safe(value: Any) -> str:
    """The value as a cell that a spreadsheet shows and does not run."""
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) or text.lstrip().startswith(FORMULA) else text


def as_csv(titles: Sequence[str], rows: Rows) -> Iterator[bytes]:
    """With the mark that tells Excel that it is UTF-8."""
    text = io.StringIO("\ufeff")
    text.seek(0, io.SEEK_END)
    writer = csv.writer(text)
    for row in chain([titles], rows):
        writer.writerow(["" if cell is None else safe(cell) for cell in row])
        if text.tell() > AT_ONCE:
            yield _taken(text)
    yield _taken(text)


def _taken(text: io.StringIO) -> bytes:
    found = text.getvalue().encode("utf-8", "replace")
    text.seek(0)
    text.truncate()
    return found


def as_xlsx(titles: Sequence[str], rows: Rows) -> Iterator[bytes]:
    """One sheet after the other: a workbook library would write the whole file before the first octet is sent."""
    pipe = _Pipe()
    left: Iterator[Sequence[Cell]] = iter(rows)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as book:  # type: ignore[call-overload]
        sheets = 0
        first: Sequence[Cell] | None = next(left, ())
        while first is not None:
            sheets += 1
            with book.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                first = yield from _sheet(sheet.write, pipe, titles, first, left)
        for name, text in _frame(sheets):
            book.writestr(name, text)
    yield pipe.taken()


class _Pipe:
    """A file that can only be written, and is emptied as it goes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        self.size += len(part)
        return len(part)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return found


def _sheet(
    write: Callable[[bytes], int], pipe: _Pipe, titles: Sequence[str], first: Sequence[Cell], left: Iterator[Any]
) -> Generator[bytes, None, Sequence[Cell] | None]:
    """Writes a sheet from the row `first` on; gives the row with which the next one begins, or None."""
    octets = write(SHEET_BEGIN + _row(titles))
    rows = 1
    row: Sequence[Cell] | None = first
    while row is not None and rows < MOST_ROWS and octets < MOST_OCTETS:
        octets += write(_row(row)) if row else 0
        rows += 1
        if pipe.size > AT_ONCE:
            yield pipe.taken()
        row = next(left, None)
    write(SHEET_END)
    return row


def _row(row: Sequence[Cell]) -> bytes:
    return f"<row>{''.join(map(_cell, row))}</row>".encode()


def _cell(value: Cell) -> str:
    if value is None or value == "":
        return "<c/>"
    if isinstance(value, int):
        return f"<c><v>{value}</v></c>"
    text = escape(_IMPOSSIBLE.sub("", safe(value))[:LONGEST])
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_FORMAT = "http://schemas.openxmlformats.org/"
_MAIN, _TYPES = f"{_FORMAT}spreadsheetml/2006/main", f"{_FORMAT}package/2006/content-types"
_LINKS, _LINK = f"{_FORMAT}package/2006/relationships", f"{_FORMAT}officeDocument/2006/relationships"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SHEET_BEGIN = (
    f'{HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0"><pane ySplit="1" '
    'topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
    '<cols><col min="1" max="16" width="24" customWidth="1"/></cols><sheetData>'
).encode()
SHEET_END = b"</sheetData></worksheet>"


def _frame(sheets: int) -> Iterator[tuple[str, str]]:
    """The parts of a workbook that say which sheets it has."""
    numbers = range(1, sheets + 1)
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_KIND}.worksheet+xml"/>' for n in numbers
    )
    yield (
        "[Content_Types].xml",
        f'{HEAD}<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/><Default '
        'Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>{parts}</Types>',
    )
    yield "_rels/.rels", _links([("officeDocument", "xl/workbook.xml")])
    names = "".join(f'<sheet name="{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    yield (
        "xl/workbook.xml",
        f'{HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_LINK}"><bookViews><workbookView/></bookViews>'
        f"<sheets>{names}</sheets></workbook>",
    )
    yield "xl/_rels/workbook.xml.rels", _links([("worksheet", f"worksheets/sheet{n}.xml") for n in numbers])


def _links(targets: Sequence[tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_LINK}/{kind}" Target="{path}"/>'
        for n, (kind, path) in enumerate(targets, 1)
    )
    return f'{HEAD}<Relationships xmlns="{_LINKS}">{links}</Relationships>'
