"""Encoding and delimiter are found, whatever program wrote the file."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailservice.services.importing import files, sniffing

TABLE = "Имя;Почта\nАнна Петрова;anna@example.org\nБорис;boris@example.org\n"


@pytest.mark.parametrize(
    ("codec", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("cp1251", "cp1251"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_the_encoding_is_found(tmp_path, codec, found):
    path = tmp_path / "file"
    path.write_bytes(TABLE.encode(codec))
    assert sniffing.encoding_of(path) == found


def test_latin_only_is_the_same_in_all_and_a_late_letter_decides(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a@example.org\n" * 200_000 + "Ж".encode("cp1251"))
    assert sniffing.encoding_of(path) == "cp1251"


WORD = st.text(st.sampled_from("АБВабв xyz.-'"), min_size=1, max_size=12)
LOCAL = st.text(st.sampled_from("abcxyz019"), min_size=1, max_size=8)
PERSON = st.tuples(WORD, LOCAL.map("{}@example.org".format), WORD)
TABLES = st.lists(PERSON, min_size=1, max_size=8)


@given(TABLES, st.sampled_from(sniffing.DELIMITERS), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_a_table_is_read_as_it_was_written(tmp_path_factory, rows, delimiter, line_end, quoted):
    """In any delimiter, with any line ends, quoted or not, whatever stands between the quotes."""
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows(rows)
    upload = taken(tmp_path_factory, text.getvalue().encode("utf-8"))
    assert upload.delimiter == delimiter
    assert upload.records == [list(row) for row in rows]


@given(TABLES, st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_a_table_is_read_in_the_encoding_it_was_written_in(tmp_path_factory, rows, codec):
    data = "".join(";".join(row) + "\n" for row in rows).encode(codec)
    assert taken(tmp_path_factory, data).records == [list(row) for row in rows]


@given(st.lists(st.text(st.sampled_from("АБВГДабвгдежз"), min_size=2, max_size=12), min_size=1, max_size=8))
def test_what_russian_excel_writes_is_read(tmp_path_factory, names):
    rows = [["Клиент", "Почта"], *([name, "a@example.org"] for name in names)]
    data = "".join(";".join(row) + "\r\n" for row in rows).encode("cp1251")
    upload = taken(tmp_path_factory, data)
    assert (upload.encoding, upload.delimiter, upload.records) == ("cp1251", ";", rows)


def taken(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("imports")
    return files.take_in(io.BytesIO(data), filename="a.csv", owner_id=1, folder=folder, largest=1 << 20)


def test_names_with_commas_do_not_divide_cells():
    assert sniffing.delimiter_of("Петрова, Анна;anna@example.org\nИванов, Борис;boris@example.org\n") == ";"


def test_excels_own_line_names_the_delimiter(tmp_path_factory):
    upload = taken(tmp_path_factory, b"sep=,\na;b@example.org,c;d\n")
    assert upload.records == [["a;b@example.org", "c;d"]]
