"""XLSX workbooks: looked at as the archives they are before anything is unpacked, then read row by row."""

from __future__ import annotations

import csv
import datetime
import itertools
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from flask_babel import gettext as _
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from mailservice.errors import Invalid
from mailservice.services.importing import columns

MIB = 1 << 20
MOST_UNPACKED = 1024 * MIB  # octets in all; they are never in memory at once
MOST_STRINGS = 96 * MIB  # octets of the table of texts, which is
MOST_OTHER = 16 * MIB  # octets of any other part, read as a whole
MOST_PARTS = 2000
MOST_ROWS = 1_048_576  # as many as Excel has
LONGEST_CELL = csv.field_size_limit()  # characters; Excel has 32,767 at most
BEAT_EVERY = 5_000  # rows
STRINGS = "sharedstrings.xml"
Beat = Callable[[], None]
BROKEN = (
    *(zipfile.BadZipFile, InvalidFileException, ParseError, DefusedXmlException, KeyError, ValueError, TypeError),
    *(OSError, EOFError, IndexError, AttributeError, NotImplementedError, RuntimeError, OverflowError),
    *(zlib.error, lzma.LZMAError),
)


def sample(path: Path, count: int) -> list[list[str]]:
    """The first records that are not empty; Invalid (field “file”) when it is no workbook that can be read."""
    with _rows(path) as rows:
        return list(itertools.islice((cells for cells in rows if any(cells)), count))


def convert(path: Path, ready: Path, *, beat: Beat) -> None:
    """Writes the first sheet as CSV to `ready`, which appears whole or not at all. `beat` is called now and then."""
    draft = ready.with_suffix(".part")
    with _rows(path) as rows, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for number, cells in enumerate(rows):
            writer.writerow(cells)
            if number % BEAT_EVERY == 0:
                beat()
    draft.replace(ready)


@contextmanager
def _rows(path: Path) -> Iterator[Iterator[list[str]]]:
    _check_parts(path)
    with path.open("rb") as file:  # openpyxl would refuse the ending of the path
        with _told_in_words():
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
        if not sheets:
            raise _refused(_("There is no sheet with cells in this workbook."))
        with closing(book):
            yield _read(sheets[0])


def _read(sheet: Any) -> Iterator[list[str]]:
    rows = sheet.iter_rows(max_row=MOST_ROWS, max_col=columns.MOST + 1, values_only=True)
    while True:
        with _told_in_words():
            row = next(rows, None)
            if row is None:
                return
            cells = _cells(row)
        yield cells


@contextmanager
def _told_in_words() -> Iterator[None]:
    try:
        yield
    except BROKEN:
        raise _refused(_("This workbook is damaged. Open it in Excel, save it anew and send that.")) from None


def _check_parts(path: Path) -> None:
    """By the sizes that the archive tells: what is read of a part later never exceeds them."""
    with _told_in_words(), zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if not any(part.filename == "xl/workbook.xml" for part in parts):
        raise _refused(_("This archive is no Excel workbook."))
    too_big = len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED
    if too_big or any(part.file_size > _most(part.filename.lower()) for part in parts):
        raise _refused(_("This workbook is too big when unpacked. Save the sheet as CSV and send that."))


def _most(name: str) -> int:
    if name.startswith("xl/worksheets/"):
        return MOST_UNPACKED
    return MOST_STRINGS if name.endswith(STRINGS) else MOST_OTHER


def _cells(row: tuple[Any, ...]) -> list[str]:
    if len(row) > columns.MOST and row[columns.MOST] is not None:
        raise _refused(_("There are too many columns: at most %(number)s.", number=columns.MOST))
    cells = [_text(value) for value in row[: columns.MOST]]
    while cells and not cells[-1]:
        cells.pop()
    if any(len(cell) > LONGEST_CELL for cell in cells):
        raise ValueError("no program writes such a cell, and as CSV it could not be read")
    return cells


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value.replace("\0", "")
        case float() if value.is_integer():
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case _:
            return str(value)


def _refused(message: str) -> Invalid:
    return Invalid(message, field="file")
