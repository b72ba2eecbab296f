"""A CSV file is read as it was meant, whatever program wrote it, and what cannot be read says so."""

import csv
import io
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.csvimport.reading import records
from workers.csvimport.reading.encoding import find_encoding
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.records import read_pages

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le with mark", "utf-16-be with mark", "windows-1252"]


def encode(text: str, encoding: str) -> bytes:
    plain = encoding.removesuffix(" with mark")
    return (("\ufeff" if plain != encoding else "") + text).encode(plain)


def read(data: bytes, page_lines: int = 4) -> tuple[list[tuple[int, list[str]]], list[tuple[int, list[str]]]]:
    """Good and broken records, each with its line."""
    source = io.BytesIO(data)
    with closing(read_pages(source, inspect_file(source), page_lines=page_lines)) as read:
        pages = list(read)
    assert not source.closed
    good = [record for page in pages for record in zip(page.lines, page.rows, strict=True)]
    return good, [record for page in pages for record in page.broken]


def rows(data: bytes) -> list[list[str]]:
    return [cells for _, cells in read(data)[0]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_and_delimiter_is_recognised(encoding, delimiter):
    table = [["name", "größe"], ["Café", "1,5" if delimiter != "," else "1;5"], ["naïve", "x\ny"]]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(table)
    assert rows(encode(text.getvalue(), encoding)) == table


def test_one_letter_beyond_ascii_makes_a_file_windows_1252():
    file_format = inspect_file(io.BytesIO(b"a,b\n" + b"x,y\n" * 600_000 + b"\xe9,z\n"))
    assert (file_format.encoding, file_format.records) == ("windows-1252", 600_001)


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Spaß,„Spaß“\n".encode("windows-1252") + b"T\xfcr\n" * 9, "windows-1252"),
        (b"a,caf\xe9", "windows-1252"),
        (b"a,b\n", "utf-8-sig"),
        ("Spaß,🧀".encode(), "utf-8-sig"),
        ("Spaß\n".encode() + b"caf\xe9\n", "utf-8-sig"),
        (b"\xef\xbb\xbfa\n" + b"\xe9" * 50, "utf-8-sig"),
        ("Tür\n".encode() + b"\xe9" * 50, "windows-1252"),
    ],
)
def test_the_encoding_is_that_of_most_letters_however_the_file_is_cut(data, encoding, block):
    head, rest = data[:3], data[3:]
    assert find_encoding([head, *(rest[at : at + block] for at in range(0, len(rest), block))]) == encoding


@pytest.mark.parametrize("data", [b"", b"\n \r\n\n"])
def test_a_file_without_a_header_is_empty(data):
    with pytest.raises(CsvUnreadable, match="empty"):
        records.read_header(io.BytesIO(data), inspect_file(io.BytesIO(data)))


@pytest.mark.parametrize("data", [b"a,b\n\x81\x8d,\xff\n", b"\xff\xfea\x00,\x00b", b"a" * 1_500_000])
def test_what_is_no_text_or_has_no_lines_is_refused(data):
    with pytest.raises(CsvUnreadable) as refused:
        inspect_file(io.BytesIO(data))
    assert "CSV" in refused.value.sentence


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_an_editor_counts_them(end):
    text = end.join(["a,b", "", f'"two{end}lines",1', "x,2", "", 'y,"3"'])
    assert [line for line, _ in read(text.encode())[0]] == [1, 3, 5, 7]


@pytest.mark.parametrize("page_lines", [1, 2, 3, 100])
def test_an_open_quote_costs_its_own_line_and_leaves_the_others_alone(page_lines):
    good, broken = read(b'a,b\n1,x\n2,"open\n3,y\n4,"shut"\n5,z\n6,"never shut\n7,w\n', page_lines)
    assert broken == [(3, ["2", "open\n"]), (7, ["6", "never shut\n"])]
    assert good == [
        (1, ["a", "b"]), (2, ["1", "x"]), (4, ["3", "y"]), (5, ["4", "shut"]), (6, ["5", "z"]), (8, ["7", "w"])
    ]  # fmt: skip


def test_an_open_quote_in_a_long_file_costs_its_own_line_too():
    lines = [f"{number},some text that makes it long" for number in range(40_000)]
    lines[20_000] = '20000,"open'
    good, broken = read("\n".join(["a,b", *lines]).encode(), page_lines=10_000)
    assert [line for line, _ in broken] == [20_002]
    assert len(good) == 40_000


def test_many_open_quotes_far_apart_in_a_long_file_cost_their_own_lines():
    lines = ["1," + "x" * 1_000] * 140 + ['2,"open']
    good, broken = read("\n".join(["a,b", *lines * 200]).encode(), page_lines=1_000)
    assert (len(good), len(broken)) == (1 + 140 * 200, 200)


@pytest.mark.parametrize(
    ("data", "next_line"),
    [
        ('a,b\n', 2), ('a,b', 2), ('a,b\n\n\n', 4), ('a,b\n\n1,x\n', 3), ('\n\na,b\n1,x\n2,y\n', 4),
        ('"a\n",b\n1,x\n', 3),
        ('a,b\n1,"open\n2,y\n', 2), ('a,b\n1,x\n2,"open\n', 2), ('a,b\n' + "\n" * 5_000 + "1,x\n", 1_001),
        ('a,b\n1,"' + "\n" * 5_000 + '"\n', 2),
    ],
)  # fmt: skip
def test_the_rows_begin_behind_the_header(data, next_line):
    source = io.BytesIO(data.encode())
    cells, line = records.read_header(source, inspect_file(source))
    assert ([cell.strip() for cell in cells], line) == (["a", "b"], next_line)
    with closing(read_pages(source, inspect_file(source), first_line=line)) as pages:
        rows = [row for page in pages for row in page.rows]
    assert ["a", "b"] not in rows
    assert rows or "1,x" not in data


def test_a_cell_beyond_the_limit_is_a_broken_record_and_leaves_the_others_alone():
    good, broken = read(b"a,b\n1," + b"x" * 200_000 + b"\n2,y\n")
    assert [line for line, _ in broken] == [2]
    assert good[1:] == [(3, ["2", "y"])]


def test_a_quote_inside_an_unquoted_cell_is_a_character():
    assert rows(b'a,b\n5" disk,1\n') == [["a", "b"], ['5" disk', "1"]]


def test_spaces_before_a_quote_do_not_matter():
    assert rows(b'a, b\n1, "x, y"\n') == [["a", "b"], ["1", "x, y"]]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff"), max_size=12)
tables = st.integers(2, 5).flatmap(lambda width: st.lists(st.lists(cells, min_size=width, max_size=width), max_size=12))


@given(
    tables,
    st.sampled_from([name for name in ENCODINGS if name.startswith("utf")]),
    st.sampled_from(",;\t|"),
    # Before Python 3.13, csv.writer quotes a carriage return only where it ends lines with one.
    st.sampled_from([{"quoting": csv.QUOTE_ALL, "lineterminator": "\n"}, {"lineterminator": "\r\n"}]),
    st.integers(1, 6),
)
def test_any_table_is_read_back_as_it_was_written(table, encoding, delimiter, dialect, page_lines):
    table = [[f"name{number}" for number in range(len(table[0]) if table else 2)], *table]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, **dialect).writerows(table)
    good, broken = read(encode(text.getvalue(), encoding), page_lines)
    assert broken == []
    # What csv.writer leaves unquoted loses the spaces before it, which the import would strip anyway.
    wanted = [[cell.lstrip(" ") for cell in row] for row in table]
    assert [[cell.lstrip(" ") for cell in row] for _, row in good] == [row for row in wanted if any(row)]
    assert all(first < second for (first, _), (second, _) in pairwise(good))


@given(st.lists(st.text('",\n\ra', max_size=8), max_size=20), st.integers(1, 5))
def test_any_text_ends_as_records_and_the_pages_do_not_matter(lines, page_lines):
    data = ("a,b\n" + "\n".join(lines)).encode()
    assert read(data, page_lines) == read(data, 1000)
