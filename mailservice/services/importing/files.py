"""Files of imports: taken in, looked at as a whole, and written anew in one way that can be read from any place.

Of each there may be two under one name of our own: the upload as it came (.raw), and what imports read (.csv):
UTF-8 with \\n as its only line break, so that a position is a number of octets.
"""

from __future__ import annotations

import csv
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from flask_babel import gettext as _

from mailservice.errors import Invalid
from mailservice.models import FileKind
from mailservice.services.importing import columns, sniffing, workbooks

CHUNK = 1 << 20
SAMPLE = 1000  # records
SAMPLE_TEXT = 1 << 18  # characters of a text from which they are taken
SENTINEL = "\x1f"
MOST_CONTROLS = 0.01  # of the characters of a text
ARCHIVE, OLD_OFFICE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
OTHERS = (b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"{\\rtf")


@dataclass(frozen=True)
class Upload:
    """A file as it was taken in; `records` are its first ones that are not empty."""

    stored: str
    kind: FileKind
    encoding: str
    delimiter: str
    size: int  # octets that will be read; 0 of a workbook, which is written anew later
    start: int  # octets before the first record
    records: list[list[str]]


def raw_path(folder: Path, stored: str) -> Path:
    return folder / f"{stored}.raw"


def ready_path(folder: Path, stored: str) -> Path:
    return folder / f"{stored}.csv"


def take_in(source: IO[bytes], *, filename: str, owner_id: int, folder: Path, largest: int) -> Upload:
    """Keeps the file and says how to read it; Invalid (field “file”) when it is not one that we take."""
    stored = f"{owner_id}/{secrets.token_hex(10)}"
    path = raw_path(folder, stored)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write(source, path, largest)
        kind = _kind(path, filename)
        if kind is FileKind.WORKBOOK:
            records = workbooks.sample(path, SAMPLE)
            _check_contents(records, any("@" in cell for cells in records for cell in cells))
            return Upload(stored, kind, "", ",", 0, 0, records)
        return read_as(folder, stored)
    except BaseException:
        remove(folder, stored)
        raise


def read_as(folder: Path, stored: str, *, encoding: str = "", delimiter: str = "") -> Upload:
    """Writes a text anew, read in this way; what is not given is guessed."""
    raw, ready = raw_path(folder, stored), ready_path(folder, stored)
    encoding = encoding or sniffing.encoding_of(raw)
    has_address = _write_anew(raw, ready, encoding)
    with ready.open(encoding="utf-8", newline="") as file:
        head = file.read(SAMPLE_TEXT)
    named = sniffing.named_delimiter(head)
    start = len(head.partition("\n")[0].encode()) + 1 if named else 0
    delimiter = delimiter or named or sniffing.delimiter_of(head)
    _check_structure(ready, delimiter)
    records: list[list[str]] = []
    for _after, cells in read(ready, delimiter=delimiter, position=start):
        records += [cells] if any(cells) else []
        if len(records) == SAMPLE:
            break
    _check_contents(records, has_address)
    return Upload(stored, FileKind.TEXT, encoding, delimiter, ready.stat().st_size, start, records)


def make_ready(folder: Path, stored: str, *, beat: workbooks.Beat) -> int:
    """A workbook's rows as a text, unless they are there already; its size. OSError when the file is gone."""
    ready = ready_path(folder, stored)
    if not ready.exists():
        workbooks.convert(raw_path(folder, stored), ready, beat=beat)
    return ready.stat().st_size


def read(path: Path, *, delimiter: str, position: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Records from `position` on, each with the position after it; an empty line is an empty record."""
    with path.open("rb") as file:
        file.seek(position)

        def lines() -> Iterator[str]:
            nonlocal position
            for line in file:
                position += len(line)
                yield line.decode()

        for cells in csv.reader(lines(), delimiter=delimiter):
            yield position, cells


def remove(folder: Path, stored: str) -> None:
    for path in (folder / stored).parent.glob(f"{(folder / stored).name}.*") if stored else ():
        path.unlink(missing_ok=True)


def remove_all_of(folder: Path, owner_id: int) -> None:
    """Every file of an owner who leaves."""
    shutil.rmtree(folder / str(owner_id), ignore_errors=True)


def older_than(folder: Path, seconds: float) -> set[str]:
    """What is stored and has not been written to for so long."""
    limit = time.time() - seconds
    found = set()
    for path in folder.glob("*/*.*"):
        try:
            if path.stat().st_mtime < limit:
                found.add(f"{path.parent.name}/{path.stem}")
        except FileNotFoundError:  # somebody else clears up, too
            continue
    return found


def _write(source: IO[bytes], path: Path, largest: int) -> None:
    size = 0
    with path.open("xb") as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > largest:
                raise _refused(_("This file is too big: at most %(size)s MB.", size=largest // CHUNK))
            file.write(chunk)
    if not size:
        raise _refused(_("This file is empty."))


def _kind(path: Path, filename: str) -> FileKind:
    with path.open("rb") as file:
        head = file.read(8)
    ending = PurePath(filename.lower()).suffix
    if head.startswith(OLD_OFFICE):
        raise _refused(_("This is a file of an old Excel (.xls). Save it as .xlsx or as CSV and send that."))
    if head.startswith(OTHERS):
        raise _refused(_not_a_table())
    if head.startswith(ARCHIVE):
        if ending not in ("", ".xlsx", ".xlsm"):
            raise _refused(_("This file is called “%(ending)s”, but it is an archive or a workbook.", ending=ending))
        return FileKind.WORKBOOK
    if ending in (".xlsx", ".xlsm", ".xls", ".ods", ".zip"):
        raise _refused(_("This file is called “%(ending)s”, but it is no workbook. Save it anew.", ending=ending))
    return FileKind.TEXT


def _write_anew(raw: Path, ready: Path, encoding: str) -> bool:
    """Whether an @ stands in it. What cannot be read in the encoding is shown as �."""
    draft, has_address = ready.with_suffix(".part"), False
    with raw.open(encoding=encoding, errors="replace") as source, draft.open("w", encoding="utf-8") as file:
        while text := source.read(CHUNK):
            if _is_binary(text):
                draft.unlink()
                raise _refused(_not_a_table())
            has_address = has_address or "@" in text
            file.write(text.removeprefix("\ufeff"))
    draft.replace(ready)
    return has_address


def _is_binary(text: str) -> bool:
    if "\0" in text:
        return True
    head = text[:4096]
    controls = sum(c < " " and c not in "\t\n\r\f\x1a" for c in head)
    return controls > MOST_CONTROLS * len(head) or head.count("\ufffd") > len(head) // 3


def _check_structure(ready: Path, delimiter: str) -> None:
    """Every quotation mark is closed, no cell is endless, no record too wide."""

    def lines() -> Iterator[str]:
        with ready.open(encoding="utf-8", newline="\n") as file:
            yield from file
        yield f"{SENTINEL}\n"

    reader = csv.reader(lines(), delimiter=delimiter)
    begun, cells = 0, [""]
    try:
        for cells in reader:
            if len(cells) > columns.MOST:
                raise _refused(_("There are too many columns: at most %(number)s.", number=columns.MOST))
            if cells != [SENTINEL]:
                begun = reader.line_num
    except csv.Error:
        message = _("A cell that begins in line %(line)s is too long, or its quotation mark is never closed.")
        raise _refused(message % {"line": begun + 1}) from None
    if cells != [SENTINEL]:
        message = _("A quotation mark in line %(line)s is never closed.", line=_opened(ready, delimiter))
        raise _refused(message)


def _opened(ready: Path, delimiter: str) -> int:
    """The line in which the last record begins."""
    begun = 0
    with ready.open(encoding="utf-8", newline="\n") as file:
        reader = csv.reader(file, delimiter=delimiter)
        for _cells in reader:
            last, begun = begun, reader.line_num
    return last + 1


def _check_contents(records: list[list[str]], has_address: bool) -> None:
    if not records:
        raise _refused(_("There is nothing in this file."))
    if not has_address:
        raise _refused(_("There are no e-mail addresses in this file."))


def _not_a_table() -> str:
    return _("This is not a table that can be read. Send a CSV or XLSX file.")


def _refused(message: str) -> Invalid:
    return Invalid(message, field="file")
