"""Numbers and dates as people of several countries write them."""

import calendar
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.csvimport.cells.dates import guess_dates, make_date_parser
from workers.csvimport.cells.errors import CellError
from workers.csvimport.cells.numbers import guess_decimal, make_decimal_parser, make_integer_parser


@pytest.mark.parametrize(
    ("mark", "cell", "value"),
    [
        (".", "1234.56", "1234.56"), (".", "1,234.56", "1234.56"), (".", "1'234.56", "1234.56"),
        (".", "1\u2019234.56", "1234.56"),
        (".", "1 234.56", "1234.56"), (".", "$1,234.56", "1234.56"), (".", "1,234,567", "1234567"), (".", "-5", "-5"),
        (".", "\u22125", "-5"), (".", ".5", "0.5"), (".", "1e3", "1000"), (".", "CHF 12.50", "12.50"),
        (".", "£ 3", "3"),
        (",", "1234,56", "1234.56"), (",", "1.234,56", "1234.56"), (",", "1 234,56", "1234.56"),
        (",", "1\u00a0234,56", "1234.56"), (",", "1\u202f234,56 €", "1234.56"), (",", "1.234.567", "1234567"),
        (",", "12,50 kr", "12.50"), (",", "1.234", "1234"), (",", "1,234", "1.234"), (",", "+3,5", "3.5"),
        (",", "7", "7"),
    ],
)  # fmt: skip
def test_a_number_is_read_by_its_decimal_mark_alone_and_among_others(mark, cell, value):
    assert make_decimal_parser(mark)([cell]) == [Decimal(value)]
    assert make_decimal_parser(mark)(["8", cell, "9"]) == [8, Decimal(value), 9]


@pytest.mark.parametrize(
    ("mark", "cell"),
    [
        (".", "12,50"), (".", "1,23,456"), (".", "1,234 567"), (".", "1.2.3"), (".", "abc"), (".", "1_000"),
        (".", "NaN"),
        (".", "€"), (".", "1.234,56"), (",", "12.50"), (",", "1,5,2"), (",", "1.2"), (",", "1\n2"), (",", "1,234.56"),
        (",", "Infinity"), (",", "1 2"), (",", ","), (",", "1_000,5"), (".", "1\n2"), (".", "5 " + "0" * 5000),
    ],
)  # fmt: skip
def test_what_has_another_form_is_no_number_rather_than_another_number(mark, cell):
    for parse in (make_decimal_parser(mark), make_integer_parser(mark)):
        with pytest.raises(CellError):
            parse([cell])
        with pytest.raises(CellError):
            parse(["8", cell])


@pytest.mark.parametrize(
    ("mark", "cell"), [(".", "1,000"), (",", "1.000"), (",", "1000,0"), (".", "1'000"), (".", "1000.00")]
)
def test_a_whole_number_is_one_with_marks_between_its_thousands_too(mark, cell):
    assert make_integer_parser(mark)([cell, "5"]) == [1000, 5]


@pytest.mark.parametrize(
    ("cells", "guess"),
    [
        (["9.90", "x", ""], (".", True)), (["9,90"], (",", True)), (["1.234", "9,90"], (",", True)),
        (["1.234"], (".", False)), (["1,234", "5"], (".", False)), (["1.234,5"], (",", True)),
        (["1,234,567"], (".", True)),
        (["0.125"], (".", True)), (["5", "7"], (".", True)), ([], (".", True)), (["1'234,5"], (",", True)),
        (["1.5", "2.5", "3,5"], (".", True)), (["a.b", "1.2.3-beta"], (".", True)), (["€ 1.234"], (".", False)),
    ],
)  # fmt: skip
def test_the_decimal_mark_is_guessed_or_said_to_be_open(cells, guess):
    assert guess_decimal(cells) == guess


@pytest.mark.parametrize(
    ("order", "cell"),
    [
        ("ymd", "2024-04-03"), ("dmy", "03.04.2024"), ("dmy", "3.4.2024"), ("dmy", "03/04/2024"),
        ("dmy", "03-04-2024"),
        ("mdy", "04/03/2024"), ("mdy", "4/3/2024"), ("dmy", "2024-04-03"), ("mdy", "20240403"), ("ymd", "2024/04/03"),
        ("ymd", "2024.04.03"), ("ymd", "2024. 4. 3."), ("ymd", "2024-04-03 00:00:00"),
        ("ymd", "2024-04-03T00:00:00.000"),
        ("dmy", "03.04.2024 00:00"), ("dmy", "3. 4. 2024"),
        ("ymd", "2024-04-03 14:22:11"), ("ymd", "2024-04-03T00:00:00Z"), ("ymd", "2024-04-03T23:59:59.123+02:00"),
        ("ymd", "2024-04-03 14:22"), ("ymd", "2024-04-03 14:22:11.5 UTC"), ("ymd", "2024-04-03 14:22:11-0500"),
        ("mdy", "4/3/2024 2:22:11 PM"), ("mdy", "4/3/2024, 2:22 p.m."), ("dmy", "03/04/2024 14:22"),
        ("ymd", "3 Apr 2024"), ("ymd", "3-Apr-2024"), ("mdy", "03 April 2024"), ("dmy", "April 3, 2024"),
        ("ymd", "Apr. 3rd, 2024"), ("ymd", "3. April 2024"), ("ymd", "2024-Apr-03"), ("ymd", "3 avril 2024"),
        ("ymd", "3 de abril de 2024"), ("ymd", "3 Apr 2024 14:22"), ("ymd", "03APR2024"),
        ("ymd", "2024. 4. 3. 0:00"),
    ],
)  # fmt: skip
def test_a_date_is_read_in_its_order_alone_and_among_others(order, cell):
    assert make_date_parser(order)([cell]) == [date(2024, 4, 3)]
    assert make_date_parser(order)(["2024-12-31", cell]) == [date(2024, 12, 31), date(2024, 4, 3)]


@pytest.mark.parametrize(
    ("order", "cell", "reason"),
    [
        ("ymd", "03/04/2024", "is not a date such as 2026-12-31"),
        ("dmy", "03.04.24", "is not a date such as 31.12.2026"),
        ("mdy", "31/12/2024", "is not a day of any calendar"), ("dmy", "30.02.2024", "is not a day of any calendar"),
        ("dmy", "03.04/2024", "is not a date"), ("ymd", "2024-04-03 12:75", "is not a date"),
        ("ymd", "3 Abc 2024", "is not a date"), ("ymd", "31 Feb 2024", "is not a day of any calendar"),
        ("ymd", "3 Apr 24", "is not a date"), ("ymd", "3 Ju 2024", "is not a date"),
        ("dmy", "soon\n", "is not a date"),
    ],
)  # fmt: skip
def test_what_is_no_date_in_that_order_says_why(order, cell, reason):
    with pytest.raises(CellError, match=reason):
        make_date_parser(order)([cell])


@pytest.mark.parametrize(
    ("cells", "guess"),
    [
        (["2024-12-31"], ("ymd", True)), (["31/12/2024"], ("dmy", True)), (["12/31/2024"], ("mdy", True)),
        (["01/02/2024"], ("dmy", False)), (["01/02/2024", "13/02/2024"], ("dmy", True)),
        (["01.02.2024"], ("dmy", True)),
        (["01-02-2024"], ("dmy", False)), ([], ("ymd", True)), (["soon", ""], ("ymd", True)),
        (["12/31/2024", "12/30/2024", "31/12/2024"], ("mdy", True)), (["31/12/2024 14:22"], ("dmy", True)),
        (["03/04/2024 2:22 PM"], ("dmy", False)), (["31 Dec 2024"], ("ymd", True)),
    ],
)  # fmt: skip
def test_the_order_of_dates_is_guessed_or_said_to_be_open(cells, guess):
    assert guess_dates(cells) == guess


@pytest.mark.parametrize(
    ("name", "month"),
    [
        ("Jan", 1), ("Jänner", 1), ("Ma", None), ("März", 3), ("mars", 3), ("déc.", 12), ("août", 8), ("juin", 6),
        ("juil.", 7),
        ("ago", 8), ("maj", 5), ("ott", 10), ("Dez", 12), ("sept", 9), ("Mai", 5), ("jui", None), ("December", 12),
        ("mrt", 3), ("Juni", 6), ("Jul", 7),
        *((name, number) for number, name in enumerate(calendar.month_abbr) if name),
        *((name, number) for number, name in enumerate(calendar.month_name) if name),
    ],
)  # fmt: skip
def test_a_month_is_known_by_its_name_or_its_abbreviation_if_that_means_one_month(name, month):
    written = f"3 {name} 2024"
    if month:
        assert make_date_parser("ymd")([written, "2024-12-31"])[0] == date(2024, month, 3)
    else:
        with pytest.raises(CellError):
            make_date_parser("ymd")([written])


@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1), st.sampled_from([(".", ","), (",", "."), (",", " ")])
)
def test_any_number_with_marks_is_read_back(values, marks):
    mark, group = marks
    cells = [f"{value:,}".translate({ord(","): group, ord("."): mark}) for value in values]
    assert make_decimal_parser(mark)(cells) == values


@given(st.lists(st.dates(date(1000, 1, 1)), min_size=1), st.sampled_from([("dmy", "%d.%m.%Y"), ("mdy", "%m/%d/%Y")]))
def test_any_date_is_read_back(values, form):
    order, pattern = form
    assert make_date_parser(order)([value.strftime(pattern) for value in values]) == values
