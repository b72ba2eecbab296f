"""Whatever the header of a CSV file says, its columns are arguments apart, and words about them stay short."""

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mediaapp.uploads.mapping import catalogue_table, guess_import_arguments
from workers.csvimport.header import make_unique_labels, match_names
from workers.csvimport.preview import make_preview
from workers.csvimport.reading.errors import MAX_COLUMNS, CsvUnreadable
from workers.csvimport.reading.inspection import inspect_file
from workers.csvimport.reading.records import read_header


@example(["a (3)", "a", "a"])
@given(st.lists(st.sampled_from(["", "a", "a (2)", "a (3)", "a (2) (3)", "column 1", "column 3"])))
def test_every_column_has_a_label_of_its_own(names):
    labels = make_unique_labels(names)
    assert len(set(labels)) == len(labels) == len(names)


def test_a_name_that_stands_there_once_is_its_own_label_and_others_are_numbered():
    assert make_unique_labels(["Price", "Price", "", "x"]) == ["Price", "Price (2)", "column 3", "x"]


@pytest.mark.parametrize("more", [0, 1])
def test_a_header_wider_than_any_spreadsheet_is_refused_and_the_widest_is_read(more):
    source = io.BytesIO(b"external_id,title" + b",x" * (MAX_COLUMNS - 2 + more) + b"\n")
    file_format = inspect_file(source)
    if not more:
        assert len(read_header(source, file_format)[0]) == MAX_COLUMNS
        assert len(make_preview(source, catalogue_table(1), synonyms={}, choices={}).names) == MAX_COLUMNS
        return
    with pytest.raises(CsvUnreadable, match="16,385 columns"):
        read_header(source, file_format)
    with pytest.raises(CsvUnreadable, match="16,385 columns"):
        make_preview(source, catalogue_table(1), synonyms={}, choices={})


def test_the_name_of_a_column_is_short_in_a_reason():
    name = "price" + "_" * 100_000
    source = io.BytesIO(f"external_id,title,{name}\nA1,Dune,x\n".encode())
    [rejection] = make_preview(source, catalogue_table(1), synonyms={}, choices={}).rejections
    assert rejection.reason == f'{name[:40]}: "x" is not a number'


def test_two_columns_for_one_field_are_named_shortly():
    with pytest.raises(CsvUnreadable) as refused:
        match_names(["title", "title" + "_" * 100_000], catalogue_table(1))
    assert len(refused.value.sentence) < 200


def test_a_number_of_thousands_of_digits_is_short_in_a_reason():
    source = io.BytesIO(f"external_id,title,stock\nA1,Dune,{'1' * 4_200}\n".encode())
    [rejection] = make_preview(source, catalogue_table(1), synonyms={}, choices={}).rejections
    assert rejection.reason == f"stock: {'1' * 40} is more than 2147483647"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("id,external_id,title", {"external_id": 1, "title": 2}),
        ("external_id,name,title", {"external_id": 0, "title": 2}),
        ("external_id,title,date,released_on", {"external_id": 0, "title": 1, "released_on": 3}),
        ("sku,external_id,Name,TITLE,Preis,price", {"external_id": 1, "title": 3, "price": 5}),
    ],
)
def test_a_field_s_own_name_goes_before_other_words_for_it_and_such_a_file_starts_at_once(header, columns):
    arguments = guess_import_arguments(1, io.BytesIO(f"{header}\n{',7' * header.count(',')}\n".encode()))
    assert arguments["dialect"] is not None
    assert arguments["columns"] == columns


@pytest.mark.django_db
@pytest.mark.parametrize("header", ["id,title", "external_id,name", "external_id,title,date"])
def test_another_word_for_a_field_without_a_column_is_a_reason_to_ask(header):
    assert guess_import_arguments(1, io.BytesIO(f"{header}\n".encode())) == {"dialect": None}
