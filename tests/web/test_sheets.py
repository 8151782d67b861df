import csv
import io
import tracemalloc

import openpyxl
import pytest

from mailservice.web import sheets

TITLES = ["Name", "Comment"]
EVIL = ["=1+1", "+7 900", "-2", "@x", "\t=1", "  =1", "＝1", "\r=1"]


def read_csv(parts):
    text = b"".join(parts).decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:])))


def read_xlsx(parts):
    book = openpyxl.load_workbook(io.BytesIO(b"".join(parts)))
    return [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book]


def test_what_a_csv_file_holds_is_what_was_given():
    rows = [("Борис “Боря”", 'a, "b"\nc'), ("", None), ("💌", 5)]
    assert read_csv(sheets.as_csv(TITLES, rows)) == [TITLES, ["Борис “Боря”", 'a, "b"\nc'], ["", ""], ["💌", "5"]]


def test_a_workbook_holds_what_was_given():
    rows = [("Борис <b>&amp;</b>", " a\nb "), ("", None), ("x\x00\x1f\ufffe\ud800y", 5)]
    (sheet,) = read_xlsx(sheets.as_xlsx(TITLES, rows))
    assert sheet == [TITLES, ["Борис <b>&amp;</b>", " a\nb "], [None, None], ["xy", 5]]


@pytest.mark.parametrize("evil", EVIL)
def test_no_cell_runs_as_a_formula(evil):
    written = [
        read_csv(sheets.as_csv(TITLES, [(evil, "")]))[1][0],
        read_xlsx(sheets.as_xlsx(TITLES, [(evil, "")]))[0][1][0],
    ]
    assert [cell[0] for cell in written] == ["'", "'"]


def test_without_rows_there_is_a_head_alone():
    assert read_csv(sheets.as_csv(TITLES, [])) == [TITLES]
    assert read_xlsx(sheets.as_xlsx(TITLES, [])) == [[TITLES]]


def test_a_sheet_that_is_full_is_followed_by_the_next(monkeypatch):
    monkeypatch.setattr(sheets, "MOST_ROWS", 4)
    rows = [(str(n), n) for n in range(7)]
    found = read_xlsx(sheets.as_xlsx(TITLES, rows))
    assert [len(sheet) for sheet in found] == [4, 4, 2]
    assert all(sheet[0] == TITLES for sheet in found)
    assert [row for sheet in found for row in sheet[1:]] == [list(row) for row in rows]


@pytest.mark.parametrize("write", [sheets.as_csv, sheets.as_xlsx])
def test_it_is_written_as_it_is_read_and_nothing_is_kept(write):
    read = 0

    def rows():
        nonlocal read
        for n in range(60_000):
            read = n
            yield (f"client-{n}@example.org", "a comment of some length, as people write them " + str(n * 7919))

    parts = write(TITLES, rows())
    next(parts)
    assert read < 20_000
    tracemalloc.start()
    for _ in parts:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
