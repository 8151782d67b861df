"""What is no table of clients is refused in words, and leaves nothing behind."""

from __future__ import annotations

import io
import zipfile

import pytest

from mailservice.errors import Invalid
from mailservice.models import FileKind
from mailservice.services.importing import files, workbooks
from tests import importing as make

WORKBOOK = make.workbook(["email"], ["anna@example.org"])
ADDRESSES = b"email\nanna@example.org\n"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "imports"


def take_in(folder, data, filename="clients.csv", largest=8 << 20):
    return files.take_in(io.BytesIO(data), filename=filename, owner_id=7, folder=folder, largest=largest)


def archive(**parts: bytes) -> bytes:
    """The workbook with other parts in place of its own."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WORKBOOK)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            short = name.rpartition("/")[2].partition(".")[0]
            new.writestr(name, parts.get(short, old.read(name)))
    return file.getvalue()


SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>%s</sheetData></worksheet>'
)
CELL = '<row r="1"><c r="%s" t="inlineStr"><is><t>a@example.org</t></is></c></row>'
ENTITIES = '<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;">]>' + SHEET % "<row><c><v>&b;</v></c></row>"

NOT_A_TABLE = "This is not a table that can be read."
DAMAGED = "This workbook is damaged."


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (b"", "a.csv", "This file is empty."),
        (b"\n\n;;\n", "a.csv", "There is nothing in this file."),
        (b"\xef\xbb\xbf", "a.csv", "There is nothing in this file."),
        (b"name;phone\nAnna;12\n", "a.csv", "There are no e-mail addresses in this file."),
        (b"email\nanna@example.org\0\n", "a.csv", NOT_A_TABLE),
        (bytes(range(256)) * 50, "a.csv", NOT_A_TABLE),
        (b"%PDF-1.7 a@example.org", "a.csv", NOT_A_TABLE),
        (b"\x89PNG\r\n\x1a\n", "a.csv", NOT_A_TABLE),
        (b"\x01\x02\x03\x04 a@example.org" * 9, "a.txt", NOT_A_TABLE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rest", "a.xls", "This is a file of an old Excel"),
        (b'email\n"anna@example.org\nboris@example.org\n', "a.csv", "A quotation mark in line 2 is never closed."),
        (b'email\na@example.org\n"' + b"x\n" * 200_000, "a.csv", "A cell that begins in line 3 is too long"),
        (b"email\na@example.org;" + b"x" * 200_000, "a.csv", "A cell that begins in line 2 is too long"),
        (b"a@example.org" + b";" * 10_000, "a.csv", "There are too many columns: at most 100."),
        (ADDRESSES, "a.xlsx", "This file is called “.xlsx”, but it is no workbook."),
        (WORKBOOK, "a.csv", "This file is called “.csv”, but it is an archive or a workbook."),
        (WORKBOOK[: len(WORKBOOK) // 2], "a.xlsx", DAMAGED),
        (b"PK\x03\x04" + b"\0" * 100, "a.xlsx", DAMAGED),
        (archive(workbook=b"<rubbish"), "a.xlsx", DAMAGED),
        (archive(sheet1=b"<rubbish"), "a.xlsx", DAMAGED),
        (archive(sheet1=ENTITIES.encode()), "a.xlsx", DAMAGED),
        (archive(sheet1=(SHEET % "").encode()), "a.xlsx", "There is nothing in this file."),
        (archive(sheet1=(SHEET % CELL % "XFD1").encode()), "a.xlsx", "There is nothing in this file."),
        (archive(sheet1=(SHEET % CELL % "CW1").encode()), "a.xlsx", "There are too many columns: at most 100."),
        (archive(styles=b" " * (workbooks.MOST_OTHER + 1)), "a.xlsx", "This workbook is too big when unpacked."),
    ],
)
def test_it_is_refused_in_words_and_nothing_is_kept(folder, data, filename, message):
    with pytest.raises(Invalid) as refused:
        take_in(folder, data, filename)
    assert refused.value.message.startswith(message)
    assert refused.value.field == "file"
    assert list(folder.glob("*/*.*")) == []


def test_an_archive_that_is_no_workbook_is_refused(folder):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("clients.csv", ADDRESSES)
    with pytest.raises(Invalid, match="no Excel workbook"):
        take_in(folder, file.getvalue(), "a.xlsx")


def test_a_bomb_is_known_by_what_it_says_before_it_is_unpacked(folder, monkeypatch):
    monkeypatch.setattr(workbooks, "MOST_UNPACKED", 1 << 20)
    with pytest.raises(Invalid, match="too big when unpacked"):
        take_in(folder, archive(sheet1=b" " * (2 << 20)), "a.xlsx")


def test_a_file_beyond_the_limit_is_not_read_to_its_end(folder):
    class Endless(io.BytesIO):
        taken = 0

        def read(self, size=-1):
            self.taken += size
            return b"x" * size

    source = Endless()
    with pytest.raises(Invalid, match="at most 3 MB"):
        files.take_in(source, filename="a.csv", owner_id=7, folder=folder, largest=3 << 20)
    assert source.taken <= 4 << 20


def test_mixed_line_ends_make_no_difference(folder):
    upload = take_in(folder, b"email,name\ra@example.org,A\r\nb@example.org,B\nc@example.org,C")
    assert [cells[0] for cells in upload.records] == ["email", "a@example.org", "b@example.org", "c@example.org"]


def test_a_line_break_between_quotation_marks_stays_in_its_cell(folder):
    upload = take_in(folder, b'a@example.org,"two\r\nlines"\r\n')
    assert upload.records == [["a@example.org", "two\nlines"]]


def test_quotation_marks_within_a_name_harm_nobody(folder):
    upload = take_in(folder, 'ООО "Рога и копыта";a@example.org\n"Вектор" ЗАО;b@example.org\n'.encode())
    assert [cells[1] for cells in upload.records] == ["a@example.org", "b@example.org"]


def test_a_name_of_ours_stands_on_the_disk(folder):
    upload = take_in(folder, ADDRESSES, "../../../etc/passwd")
    assert upload.stored.startswith("7/")
    assert {path.parent.name for path in folder.glob("*/*")} == {"7"}


def test_reading_goes_on_from_any_position(folder):
    upload = take_in(folder, 'a@example.org;"x\ny"\n\nb@example.org;é\nc@example.org;\n'.encode())
    path = files.ready_path(folder, upload.stored)
    whole = list(files.read(path, delimiter=";"))
    for count, (position, _cells) in enumerate(whole, 1):
        assert list(files.read(path, delimiter=";", position=position)) == whole[count:]


def test_a_workbook_becomes_a_text_with_its_rows_in_their_places(folder):
    rows = ["email", "n", "day"], [], ["a@example.org", 12.0, None], ["b@example.org", 1.5, True]
    upload = take_in(folder, make.workbook(*rows), "a.xlsx")
    assert upload.kind is FileKind.WORKBOOK
    files.make_ready(folder, upload.stored, beat=lambda: None)
    read = [cells for _, cells in files.read(files.ready_path(folder, upload.stored), delimiter=",")]
    assert read == [["email", "n", "day"], [], ["a@example.org", "12"], ["b@example.org", "1.5", "True"]]
