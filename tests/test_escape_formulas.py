"""No cell of a CSV that the site writes becomes a formula, whatever opens it; and each comes back as it was."""

import re
import time
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.csvimport.cells.formulas import escape_formula, unescape_formula
from workers.reports.files import escape_column

# ruff: noqa: RUF001 - letters that look like others are what this is about
FORMULAS = [
    *("=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠SUM(A1)", "﹦1", "\t=1", "\r=1", " =1", "\u3000＝1"),
    *("\u200b=1", "\ufeff=1", "\u2060\u200d+1", "\u00ad@x", "\u202e=1", "\x00=1", "\x01\x7f=1", "\u00a0=1", "'=1"),
    *('"=1', '"\u200b"=1', "\x0b=1", "\u2028=1"),
]
INSIDE = [
    "a;=1+1",
    "a,@x",
    "a\t=1",
    "a\n=1",
    "a\r\n＝1",
    'a;"=1',
    'a; \u200b"=1',
    "a;;=1;-2",
    "=1;=2",
    "a;\n=1",
    "a|=1",
    "a| '@x",
]
HARMLESS = ["Dune", "5", "", "a=b", "x-y", "a;b", "Bread, Salt", "1,5", "2024-12-31", "a@example.com", "Größe", "雪国"]
PARTS = re.compile(r"[,;\t|\r\n]")


def is_formula(cell: str) -> bool:
    """What a spreadsheet may see: without quotes, blanks and what cannot be seen, wide signs as narrow ones."""
    seen = "".join(sign for sign in cell if not (sign in '"' or unicodedata.category(sign) in ("Cf", "Cc", "Zs", "Zl")))
    return unicodedata.normalize("NFKC", seen)[:1] in tuple("=+-@")


@pytest.mark.parametrize("cell", FORMULAS + INSIDE)
def test_a_formula_is_text_however_the_file_is_opened(cell):
    escaped = escape_formula(cell)
    assert not any(map(is_formula, [escaped, *PARTS.split(escaped)]))
    assert unescape_formula(escaped) == cell
    assert list(escape_column(pl.Series([cell]))) == [escaped]


@pytest.mark.parametrize("cell", HARMLESS)
def test_another_cell_stays_as_it_is(cell):
    assert escape_formula(cell) == unescape_formula(cell) == cell
    assert list(escape_column(pl.Series([cell]))) == [cell]


@given(st.text(st.sampled_from("'\"=+-@＝ \t\r\n;,|\u200b\ufeffa1"), max_size=30))
def test_any_cell_comes_back_as_it_was_and_holds_no_formula(cell):
    escaped = escape_formula(cell)
    assert unescape_formula(escaped) == cell
    assert not any(map(is_formula, [escaped, *PARTS.split(escaped)]))
    assert list(escape_column(pl.Series([cell]))) == [escaped]


@pytest.mark.parametrize("unit", ["\n", " ", "'", "\u200b", ";", "\t'", ";=", '"'])
def test_a_cell_of_a_hundred_thousand_signs_takes_no_time(unit):
    began = time.process_time()
    escape_formula(unit * 130_000)
    unescape_formula(unit * 130_000)
    assert time.process_time() - began < 5  # 0.1 s; quadratic time would be minutes
