"""A CSV file goes into its owner's rows: every record is created, updated, unchanged or rejected, and only once."""

from datetime import date
from decimal import Decimal

import pytest

from mediaapp.models import CatalogueItem
from tests.csv_imports import HEADER, MIXED, catalogue, counts, import_for
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.run import CHUNK_LINES, TooManyRejectedError


def test_all_columns_arrive_as_their_types(alice):
    result = import_for(alice, HEADER + "A1, Dune ,Herbert,Book,1965-08-01,9.90,3\nA2,Solaris,,,,,\n").run()
    assert counts(result) == (2, 0, 0, 0)
    dune, solaris = alice.catalogue.order_by("external_id")
    assert (dune.title, dune.released_on, dune.price, dune.stock) == ("Dune", date(1965, 8, 1), Decimal("9.90"), 3)
    assert (solaris.creator, solaris.released_on, solaris.price, solaris.stock) == ("", None, None, None)


def test_a_second_import_updates_what_differs_and_leaves_the_rest_alone(alice):
    import_for(alice, HEADER + "A1,Dune,,,,9.9,3\nA2,Solaris,,,,,\n").run()
    result = import_for(alice, HEADER + "A1,Dune,,,,9.90,3\nA2,Solaris,Lem,,,,\nA3,Ubik,,,,,\n").run()
    assert counts(result) == (1, 1, 1, 0)
    assert alice.catalogue.get(external_id="A2").creator == "Lem"


def test_the_rows_of_others_are_left_alone(alice, bob):
    import_for(bob, HEADER + "A1,Dune,,,,,\n").run()
    assert counts(import_for(alice, HEADER + "A1,Ubik,,,,,\n").run()) == (1, 0, 0, 0)
    assert catalogue(bob) == [("A1", "Dune", None, None)]


def test_a_column_that_the_file_lacks_keeps_its_value(alice):
    import_for(alice, HEADER + "A1,Dune,Herbert,,,9.90,3\n").run()
    result = import_for(alice, "external_id,title,stock\nA1,Dune,4\nA2,Ubik,\n").run()
    assert counts(result) == (1, 1, 0, 0)
    assert catalogue(alice) == [("A1", "Dune", Decimal("9.90"), 4), ("A2", "Ubik", None, None)]


def test_a_file_of_keys_and_required_columns_only_works_too(alice):
    for expected in ((1, 0, 0, 0), (0, 0, 1, 0)):
        assert counts(import_for(alice, "external_id,title\nA1,Dune\n").run()) == expected


@pytest.mark.parametrize("chunk_lines", [2, 100])
def test_the_last_of_several_records_with_one_key_wins(alice, chunk_lines):
    result = import_for(alice, HEADER + "A1,One,,,,,\nA2,Two,,,,,\nA1,Three,,,,,\n").run(chunk_lines=chunk_lines)
    assert result["created"] == 2
    assert counts(result)[3] == 0
    assert alice.catalogue.get(external_id="A1").title == "Three"


@pytest.mark.parametrize(
    ("chunk_lines", "first", "second"), [(1, (2, 2, 0, 1), (0, 3, 1, 1)), (9, (2, 0, 2, 1), (0, 0, 4, 1))]
)
def test_a_replaced_record_counts_as_written_or_in_its_own_chunk_as_unchanged(alice, chunk_lines, first, second):
    data = HEADER + "A1,One,,,,,\nA2,Two,,,,,\nA1,Three,,,,x,\nA1,Four,,,,,\nA1,Five,,,,,\n"
    for expected in (first, second):
        assert counts(import_for(alice, data).run(chunk_lines=chunk_lines)) == expected
        assert alice.catalogue.get(external_id="A1").title == "Five"


def test_a_chunk_of_many_pages_is_one_transaction_and_counts_as_any(alice):
    lines = [
        f'A{number - number // 2400 * 1000},"T\t\\N\n{number}",,,,{"x" if number % 1000 == 9 else ""},'
        for number in range(2500)
    ]
    whole = import_for(alice, HEADER + "\n".join(lines))
    saved: list = []
    result = whole.run(chunk_lines=10_000, save=lambda checkpoint, result: saved.append(result["rows"]))
    assert (counts(result), saved) == ((2397, 0, 100, 3), [999, 2500])
    assert [rejection.line for rejection in whole.rejections] == [2 * number + 2 for number in (9, 1009, 2009)]
    assert alice.catalogue.get(external_id="A1405").title == "T\t\\N\n2405"
    again = import_for(alice, HEADER + "\n".join(lines)).run(chunk_lines=500)
    assert counts(again) == (0, 200, 2297, 3)


def test_header_names_match_without_regard_to_case_and_signs_and_others_are_listed(alice):
    result = import_for(alice, "External-ID, TITLE ,Released On,id,owner,\nA1,Dune,1965-08-01,7,8,\n").run()
    assert result["ignored_columns"] == ["id", "owner"]
    item = alice.catalogue.get()
    assert (item.external_id, item.released_on) == ("A1", date(1965, 8, 1))
    assert item.pk != 7 or CatalogueItem.objects.count() == 1


def test_a_missing_column_is_named_with_what_was_found(alice):
    with pytest.raises(CsvUnreadable) as error:
        import_for(alice, "title,price\nDune,1\n").run()
    assert 'Missing: "external_id"' in error.value.sentence
    assert 'Found: "title", "price"' in error.value.sentence


def test_two_columns_for_one_field_are_refused(alice):
    with pytest.raises(CsvUnreadable, match='"title" and "Title"'):
        import_for(alice, "external_id,title,Title\nA1,a,b\n").run()


def test_a_header_alone_is_an_import_of_nothing(alice):
    result = import_for(alice, HEADER).run()
    assert counts(result) == (0, 0, 0, 0)
    assert (result["header"], result["encoding"], result["delimiter"]) == (HEADER.strip().split(","), "utf-8", ",")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Dune,,,,,", "external_id: is missing"),
        ("A1,Dune,,,,abc,", 'price: "abc" is not a number'),
        ("A1,,,,,abc,", 'title: is missing; price: "abc" is not a number'),
        ("A1,Dune,,,,NaN,", 'price: "NaN" is not a number'),
        ("A1,Dune,,,,1_000,", 'price: "1_000" is not a number'),
        ("A1,Dune,,,,-1,", "price: -1 is less than 0"),
        ("A1,Dune,,,,1.005,", "price: has more than 2 digits after the point"),
        ("A1,Dune,,,,99999999.999,", "price: has more than 2 digits after the point"),
        ("A1,Dune,,,,123456789,", "price: has more than 8 digits before the point"),
        ("A1,Dune,,,,1e999999,", "price: has more than 8 digits before the point"),
        ("A1,Dune,,,,,1.5", 'stock: "1.5" is not a whole number'),
        ("A1,Dune,,,,,-1", "stock: -1 is less than 0"),
        ("A1,Dune,,,,,2147483648", "stock: 2147483648 is more than 2147483647"),
        ("A1,Dune,,,2026-02-30,,", 'released_on: "2026-02-30" is not a day of any calendar'),
        ("A1,Dune,,,soon,,", 'released_on: "soon" is not a date such as 2026-12-31'),
        (f"{'x' * 65},Dune,,,,,", "external_id: is longer than 64 characters"),
        ("A1,Du\0ne,,,,,", "title: has a NUL character in it, which no text may have"),
        ("A1,Dune", "has 2 cells, and the header has 7"),
        ("A1,Dune,,,,,,x,", "has 9 cells, and the header has 7"),
    ],
)
def test_a_bad_row_is_rejected_with_its_line_and_reason_and_leaves_the_others_alone(alice, row, reason):
    bad = import_for(alice, HEADER + f'G1,"Two\nlines",,,,,\n\n{row}\nG2,Good,,,,,\n')
    assert counts(bad.run()) == (2, 0, 0, 1)
    [(line, found, cells)] = bad.rejections
    assert (line, found, ",".join(cells)) == (5, reason, row)


TEN = [f"A{number},Größe {number},,,,,\n" for number in range(10)]


def test_a_stray_byte_in_a_utf8_file_costs_its_own_row_and_leaves_the_umlauts_alone(alice):
    stray = import_for(alice, (HEADER + "".join(TEN)).encode() + b"B1,Caf\xe9,,,,,\n")
    result = stray.run()
    assert (counts(result), result["encoding"]) == ((10, 0, 0, 1), "utf-8")
    assert [row[1] for row in catalogue(alice)] == [f"Größe {number}" for number in range(10)]
    [(line, reason, cells)] = stray.rejections
    assert (line, reason, cells[1]) == (
        12,
        "title: has bytes that are no letters of its encoding, where the \ufffd is",
        "Caf\ufffd",
    )


def test_a_windows_1252_file_is_taken_whole(alice):
    result = import_for(alice, (HEADER + "".join(TEN) + "B1,Café,,,,,\n").encode("windows-1252")).run()
    assert (counts(result), result["encoding"]) == ((11, 0, 0, 0), "windows-1252")
    assert catalogue(alice)[-1][1] == "Café"


@pytest.mark.parametrize("title", ["'=Dune", "'-Dune", "''@x", "'quoted'"])
def test_an_apostrophe_that_is_the_owner_s_own_stays(alice, title):
    import_for(alice, HEADER + f"A1,{title},,,,,\n").run()
    assert catalogue(alice)[0][1] == title


@pytest.mark.parametrize("row", ["A1,Dune,,,,12.5000,5.0", "A1,Dune,,,20261231,+1e3,007", "A1,Dune,,,2026-1-5,.5,"])
def test_numbers_and_dates_as_spreadsheets_write_them_are_taken(alice, row):
    assert counts(import_for(alice, HEADER + row).run()) == (1, 0, 0, 0)


def test_one_bad_cell_among_many_good_ones_is_found(alice):
    lines = [f"A{number},T,,,,{number},{number}" for number in range(1000)]
    lines[617] = "A617,T,,,,x,y"
    bad = import_for(alice, HEADER + "\n".join(lines))
    assert counts(bad.run(chunk_lines=5000)) == (999, 0, 0, 1)
    assert bad.rejections[0].line == 619


def mostly_bad(rows: int) -> str:
    return HEADER + "".join(f"A{number},T,,,,{'x' if number % 3 else number},\n" for number in range(rows))


def test_a_file_of_mostly_bad_rows_stops_early_and_says_so_and_goes_on_when_it_is_forced(alice):
    bad = import_for(alice, mostly_bad(3_000))
    with pytest.raises(TooManyRejectedError) as stopped:
        bad.run(chunk_lines=500, max_rejected_share=0.5)
    assert stopped.value.sentence.startswith("Stopped after 1,499 rows, because 999 of them were rejected. What was ")
    assert (len(catalogue(alice)), len(bad.rejections)) == (500, 999)
    with pytest.raises(TooManyRejectedError):
        bad.run(chunk_lines=500, max_rejected_share=0.5)
    assert len(bad.rejections) == 999
    assert counts(bad.run(chunk_lines=500)) == (1000, 0, 0, 2000)


def test_a_file_of_bad_rows_alone_stops_near_its_beginning(alice):
    bad = import_for(alice, HEADER + "A1,T,,,,x,\n" * 9_000)
    with pytest.raises(TooManyRejectedError, match="Stopped after 1,999 rows"):
        bad.run(max_rejected_share=0.5, chunk_lines=CHUNK_LINES)
    assert len(bad.rejections) == 1_999


@pytest.mark.parametrize("bad_rows", [4_000, 8_000])  # the second ends where a chunk does
def test_a_file_that_turns_bad_in_its_last_chunk_has_no_rest_to_stop_for_and_is_done(alice, bad_rows):
    bad = import_for(alice, HEADER + "A1,T,,,,5,\n" * 1_999 + "A1,T,,,,x,\n" * bad_rows)
    assert counts(bad.run(max_rejected_share=0.5, chunk_lines=CHUNK_LINES)) == (1, 0, 1_998, bad_rows)
    assert len(bad.rejections) == bad_rows
    assert counts(bad.run(max_rejected_share=0.5, chunk_lines=CHUNK_LINES)) == (1, 0, 1_998, bad_rows)  # continued


def test_one_more_row_behind_the_bad_ones_is_a_rest_to_stop_for(alice):
    bad = import_for(alice, HEADER + "A1,T,,,,5,\n" * 1_999 + "A1,T,,,,x,\n" * 8_000 + "A2,T,,,,5,\n")
    with pytest.raises(TooManyRejectedError, match="Stopped after 9,999 rows"):
        bad.run(max_rejected_share=0.5, chunk_lines=CHUNK_LINES)
    assert catalogue(alice) == [("A1", "T", 5, None)]
    assert counts(bad.run(chunk_lines=CHUNK_LINES)) == (2, 0, 1_998, 8_000)


OPEN_QUOTES = ("a" * 60 + '","b\n') * 40_000  # each line closes one and opens another


@pytest.mark.parametrize(("good", "kept"), [(2_500, 1_999), (0, 0)])
def test_a_file_that_cannot_be_read_on_says_what_stays_and_each_time_the_same(alice, good, kept):
    rows = "".join(f"A{number},Dune\n" for number in range(good))
    stuck = import_for(alice, f"external_id,title\n{rows}{OPEN_QUOTES}")
    for _ in range(2):
        with pytest.raises(CsvUnreadable, match="on the quotes do not match") as stopped:
            stuck.run(chunk_lines=CHUNK_LINES)
        stays = "What was imported of the first 1,999 rows stays, and the mended file will not double it."
        assert (stays in stopped.value.sentence) == bool(kept)
    assert len(catalogue(alice)) == kept
    assert counts(import_for(alice, f"external_id,title\n{rows}").run(chunk_lines=CHUNK_LINES)) == (
        good - kept,
        0,
        kept,
        0,
    )


def test_a_byte_of_no_letter_late_in_the_file_is_found_before_any_row_is_written(alice):
    rows = b"".join(b"A%d,caf\xe9\n" % number for number in range(5_000))
    with pytest.raises(CsvUnreadable) as refused:
        import_for(alice, b"external_id,title\n" + rows + b"B1,\x81\n").run()
    assert "imported" not in refused.value.sentence
    assert catalogue(alice) == []


@pytest.mark.parametrize(("rows", "share"), [(900, 0.5), (3_000, 0.7)])
def test_a_short_file_and_one_with_fewer_bad_rows_are_read_to_the_end(alice, rows, share):
    assert (
        counts(import_for(alice, mostly_bad(rows)).run(chunk_lines=100, max_rejected_share=share))[3] == rows * 2 // 3
    )


def test_progress_begins_with_reading_and_ends_with_all_rows(alice):
    whole = import_for(alice, MIXED)
    whole.run()
    assert whole.reports[0] == (0, 0, "reading the file", {})
    done, total, stage, figures = whole.reports[-1]
    assert (done, total, stage) == (60, 60, "writing catalogue items")
    assert sum(figures.values()) == 60
    assert [report[0] for report in whole.reports] == sorted(report[0] for report in whole.reports)
