"""The figures of a report and the files that it writes, for any rows."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.csvimport.cells.formulas import escape_formula
from workers.reports.pairs import correlate
from workers.reports.process import compute_report
from workers.reports.rows import csv_line

COLUMNS = {
    "title": ("text", 0, 0),
    "creator": ("text", 0, 0),
    "stock": ("whole", 0, 0),
    "price": ("decimal", 10, 2),
    "weight": ("float", 0, 0),
    "released": ("day", 0, 0),
    "lent": ("truth", 0, 0),
}
FULL = ("Dune", "Herbert", 3, Decimal("9.90"), 0.5, date(1965, 8, 1), True)


class ComputedReport:
    """A report on `rows`, computed in this process."""

    def __init__(self, folder: Path, rows: list[tuple], columns: dict[str, tuple] = COLUMNS, **task: Any) -> None:
        self.paths = {kind: folder / f"rows.{kind}" for kind in ("summary", "parquet", "csv")}
        named = {"columns": [(name, *kind) for name, kind in columns.items()], "key": [], "same": ["title", "creator"]}
        chunks = [b"".join(map(csv_line, rows[start : start + 2])) for start in range(0, len(rows), 2)]
        self.steps: list[tuple] = []
        compute_report(
            {**named, **{kind: str(path) for kind, path in self.paths.items()}, **task},  # type: ignore[typeddict-item]
            iter(chunks),
            lambda *step: self.steps.append(step),
        )
        self.summary = json.loads(self.paths["summary"].read_text())

    def __getitem__(self, column: str) -> dict[str, Any]:
        return next(each for each in self.summary["columns"] if each["name"] == column)

    @property
    def parquet(self) -> list[tuple]:
        return pl.read_parquet(self.paths["parquet"]).rows()

    @property
    def csv(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.paths["csv"].read_bytes().decode("utf-8-sig"), newline="")))


def rows_with(column: str, *values: Any) -> list[tuple]:
    """Rows that are equal except in one column."""
    place = list(COLUMNS).index(column)
    return [(*FULL[:place], value, *FULL[place + 1 :]) for value in values]


def test_numbers_have_bounds_quantiles_and_a_histogram(tmp_path):
    stock = ComputedReport(tmp_path, rows_with("stock", *range(1, 101), None))["stock"]
    assert (stock["rows"], stock["present"], stock["missing"], stock["distinct"]) == (101, 100, 1, 100)
    assert (stock["min"], stock["max"], stock["spread"]["mean"]) == (1, 100, 50.5)
    assert stock["spread"]["quantiles"][1:4] == [[0.25, 25.75], [0.5, 50.5], [0.75, 75.25]]
    assert (sum(stock["spread"]["bars"]), set(stock["spread"]["bars"][:-1])) == (100, {5})
    assert stock["top"] == []


def test_decimals_are_exact(tmp_path):
    price = ComputedReport(tmp_path, rows_with("price", Decimal("0.10"), Decimal("99999999.99"), Decimal("0.10")))[
        "price"
    ]
    assert (price["min"], price["max"]) == ("0.10", "99999999.99")
    assert price["top"] == [["0.10", 2], ["99999999.99", 1]]


def test_days_are_days_in_every_figure(tmp_path):
    days = ComputedReport(tmp_path, rows_with("released", date(1, 1, 1), date(2020, 2, 29), date(9999, 12, 31)))[
        "released"
    ]
    assert (days["min"], days["max"]) == ("0001-01-01", "9999-12-31")
    assert days["spread"]["quantiles"][2] == [0.5, "2020-02-29"]
    assert sum(days["spread"]["bars"]) == 3


def test_the_values_that_come_most_often_come_first_and_equals_in_order(tmp_path):
    titles = ["b"] * 3 + ["a"] * 3 + ["c"] * 5 + [f"x{number:02}" for number in range(20)]
    top = ComputedReport(tmp_path, rows_with("title", *titles))["title"]["top"]
    assert top == [["c", 5], ["a", 3], ["b", 3], *[[f"x{number:02}", 1] for number in range(5)]]


def test_an_empty_text_nan_and_infinity_are_missing(tmp_path):
    report = ComputedReport(
        tmp_path, rows_with("title", "", None, "x") + rows_with("weight", float("nan"), float("inf"), 1.5)
    )
    assert (report["title"]["missing"], report["title"]["distinct"]) == (2, 2)
    assert (report["weight"]["missing"], report["weight"]["max"]) == (2, 1.5)


def test_the_spread_of_a_text_is_that_of_its_lengths(tmp_path):
    title = ComputedReport(tmp_path, rows_with("title", "a", "größe😀", "bb"))["title"]
    assert (title["spread"]["edges"][0], title["spread"]["edges"][-1]) == (1, 6)
    assert (title["min"], title["max"]) == ("a", "größe😀")


@pytest.mark.parametrize("rows", [[], [FULL], [FULL] * 3, [(None,) * 7] * 3, [("", "", *FULL[2:])] * 3])
def test_few_or_empty_rows_have_figures(tmp_path, rows):
    report = ComputedReport(tmp_path, rows)
    assert report.summary["rows"] == len(rows)
    assert report.parquet == rows
    assert len(report.csv) == len(rows) + 1
    assert all(column["present"] + column["missing"] == len(rows) for column in report.summary["columns"])
    flat = [r for row in report.summary["correlations"]["rows"] for r in row["values"]]
    assert set(flat) == {None}


def test_a_cell_of_megabytes_is_cut_in_the_figures_and_whole_in_the_files(tmp_path):
    huge = "ä" * 2_000_000
    report = ComputedReport(tmp_path, rows_with("title", huge, huge, "x"))
    assert len(report.paths["summary"].read_text()) < 10_000
    assert report["title"]["top"][0] == ["ä" * 79 + "…", 2]
    assert report.parquet[0][0] == huge


def test_duplicates_are_found_whatever_their_case(tmp_path):
    pairs = [("Dune", "Herbert"), (" DUNE", "herbert "), ("Dune", "Lynch"), ("Ubik", None), ("Ubik", "")]
    found = ComputedReport(tmp_path, [(*pair, *FULL[2:]) for pair in pairs]).summary["duplicates"]
    assert (found["groups"], found["rows"]) == (2, 4)
    assert found["largest"] == [[["Dune", "Herbert"], 2], [["Ubik", ""], 2]]


def test_rows_without_both_are_no_duplicates(tmp_path):
    found = ComputedReport(tmp_path, [(None, "", *FULL[2:])] * 4).summary["duplicates"]
    assert (found["groups"], found["rows"], found["largest"]) == (0, 0, [])


def test_columns_that_move_together_correlate_and_one_without_variety_does_not(tmp_path):
    rows = [("t", "c", number, Decimal(100 - number), 0.1, date(2000, 1, 1 + number), None) for number in range(20)]
    table = ComputedReport(tmp_path, rows).summary["correlations"]
    assert table["columns"] == ["stock", "price", "weight", "released"]
    values = {row["name"]: row["values"] for row in table["rows"]}
    assert values["stock"] == [1.0, -1.0, None, 1.0]
    assert values["weight"] == [None] * 4


def test_a_column_of_one_value_has_no_correlation_however_it_rounds():
    table = pl.DataFrame({"stock": [number * number % 17 for number in range(7)], "weight": [0.7] * 7})
    found = correlate(table, {"stock": "whole", "weight": "float"})
    assert [row["values"] for row in found["rows"]] == [[1.0, None], [None, None]]


def test_of_several_rows_with_one_key_the_last_one_counts(tmp_path):
    report = ComputedReport(tmp_path, rows_with("stock", 1, 2) + rows_with("title", "Ubik"), key=["title"])
    assert [row[:3] for row in report.parquet] == [("Dune", "Herbert", 2), ("Ubik", "Herbert", 3)]


def test_no_cell_of_the_csv_is_run_as_a_formula(tmp_path):
    bad = ["=1+1", "+49", "-5", "@x", "\t=1", "'=x", " =1", "-", "'", "É=1", "1=1", "😀"]
    report = ComputedReport(tmp_path, rows_with("title", *bad))
    assert [row[0] for row in report.csv[1:]] == [escape_formula(cell) for cell in bad]
    assert [row[0] for row in report.parquet] == bad


TEXT = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
ROW = st.tuples(
    TEXT,
    TEXT,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.decimals(-99_999_999, 99_999_999, places=2),
    st.none() | st.floats(allow_nan=False),
    st.none() | st.dates(),
    st.none() | st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(ROW, max_size=12))
def test_whatever_the_rows_the_files_hold_them_and_the_figures_add_up(tmp_path_factory, rows):
    report = ComputedReport(tmp_path_factory.mktemp("report"), rows)
    assert report.parquet == rows
    texts = ["" if value is None else value for row in rows for value in row[:2]]
    assert [cell for line in report.csv[1:] for cell in line[:2]] == [escape_formula(value) for value in texts]
    for column in report.summary["columns"]:
        assert column["present"] + column["missing"] == len(rows)
        assert column["spread"] is None or sum(column["spread"]["bars"]) == column["present"]


def test_every_step_is_reported_before_it_begins(tmp_path):
    report = ComputedReport(tmp_path, [FULL])
    assert [step[0] for step in report.steps] == list(range(11))
    assert {step[1] for step in report.steps} == {11}
    assert report.steps[0][2] == "computing title"
    assert report.steps[-1][2] == "writing the CSV file"
