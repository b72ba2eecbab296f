"""Every kind of field that Django has: its cells become its values, or the row is rejected; nothing else goes in."""

import csv
import io
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from tests.csv_imports import ImportRun, counts
from tests.field_models import EveryField, UnimportablePart
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.target_table import TargetTable


@pytest.fixture(autouse=True)
def kinds(db) -> None:
    """Their table, which goes with the test's transaction."""
    with connection.schema_editor(atomic=False) as editor:
        editor.create_model(EveryField)


def run(name: str, *cells: str, decimal: str = ".") -> tuple[tuple[int, ...], list[str], dict]:
    """Imports a row for each cell of that column: the counts, the reasons, the result."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["code", name], *([f"A{number}", cell] for number, cell in enumerate(cells))])
    whole = ImportRun(TargetTable(EveryField, fixed={}), text.getvalue(), dialect=Dialect(decimal=decimal))
    result = whole.run()
    return counts(result), [rejection.reason for rejection in whole.rejections], result


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("data", '["a", {"b": 1.5}]', ["a", {"b": 1.5}]),
        ("data", '"text"', "text"),
        ("data", r'"a\\u0000 is no NUL \ud83d\ude00"', r"a\u0000 is no NUL 😀"),
        ("data", "", []),
        ("number", "17", 17),
        ("number", "", None),
        ("label", "d3b07384d9a04c9b8f3e000000000001", UUID("d3b07384-d9a0-4c9b-8f3e-000000000001")),
        ("span", "1 02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("hour", "12:30", time(12, 30)),
        ("moment", "2026-01-02 03:04+02:00", datetime(2026, 1, 2, 1, 4, tzinfo=UTC)),
        ("words", '["a", "b,\\"c"]', ["a", 'b,"c']),
        ("words", "", []),
        ("ip", "2001:db8::1", "2001:db8::1"),
        ("ratio", "1,234.5", 1234.5),
        ("big", "9223372036854775807", 2**63 - 1),
        ("url", "https://example.com/", "https://example.com/"),
        ("mail", "a@example.com", "a@example.com"),
        ("level", "1,250.00", Decimal(1250)),
        ("served", "5", 5),
    ],
)
def test_a_cell_becomes_a_value_of_its_kind_and_the_same_cell_changes_nothing(name, cell, value):
    assert run(name, cell)[:2] == ((1, 0, 0, 0), [])
    assert getattr(EveryField.objects.get(), name) == value
    assert run(name, cell)[0] == (0, 0, 1, 0)


@pytest.mark.parametrize(
    ("name", "cell", "reason"),
    [
        ("data", "abc", '"abc" is not JSON'),
        ("data", "NaN", '"NaN" is not JSON'),
        ("data", "1e400", '"1e400" is not JSON'),
        ("data", r'"\ud800"', r'""\ud800"" is not JSON'),
        ("data", r'"\u0000"', "has a NUL character in it, which no text may have"),
        ("data", "[" * 101 + "]" * 101, "has lists or objects in each other, more than 100 deep"),
        ("data", "[" * 60_000 + "]" * 60_000, f'"{"[" * 40}" is not JSON'),
        ("label", "xyz", "“xyz” is not a valid UUID"),
        ("span", "soon", "“soon” value has an invalid format. It must be in [DD] [[HH:]MM:]ss[.uuuuuu] format"),
        ("hour", "25:00", "“25:00” value has the correct format (HH:MM[:ss[.uuuuuu]]) but it is an invalid time"),
        ("words", "{a,b}", '"{a,b}" is nothing that this column can hold'),
        ("words", "5", '"5" is nothing that this column can hold'),
        ("words", r'["\u0000"]', "has a NUL character in it, which no text may have"),
        ("words", '["much too long"]', "Item 1 in the array did not validate: Ensure this value has at most 10"),
        ("ip", "1.2.3", "Enter a valid IPv4 or IPv6 address"),
        ("ratio", "nan", '"nan" is not a number'),
        ("ratio", "1_0", '"1_0" is not a number'),
        ("ratio", "1e400", '"1e400" is too large a number'),
        ("ratio", "1,5", '"1,5" is not a number'),
        ("big", "9223372036854775808", "9223372036854775808 is more than 9223372036854775807"),
        ("url", "javascript:alert(1)", "Enter a valid URL"),
        ("mail", "nobody", "Enter a valid email address"),
        ("level", "2", "Value Decimal('2') is not a valid choice"),
        ("served", "", "is missing"),
    ],
)
def test_a_cell_that_is_none_costs_its_own_row_and_leaves_the_others_alone(name, cell, reason):
    counted, [message], _ = run(name, cell)
    assert counted == (0, 0, 0, 1)
    assert message.startswith(f"{name}: {reason}")
    empty = "5" if name == "served" else ""
    assert run(name, empty, cell, empty)[0] == (2, 0, 0, 1)


def test_numbers_are_read_in_the_file_s_own_form_whatever_the_field():
    assert run("ratio", "1.250", "1,5", decimal=",")[0] == (2, 0, 0, 0)
    assert list(EveryField.objects.order_by("code").values_list("ratio", flat=True)) == [1250, 1.5]
    assert run("level", "1.250", decimal=",")[0] == (0, 1, 0, 0)
    assert EveryField.objects.get(code="A0").level == 1250


def test_a_moment_without_an_offset_is_one_of_the_site_s_time_zone(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("Europe/Berlin"):
        assert run("moment", "2026-07-02 03:04", "2026-01-02")[0] == (2, 0, 0, 0)
    summer, winter = EveryField.objects.order_by("code").values_list("moment", flat=True)
    assert summer == datetime(2026, 7, 2, 1, 4, tzinfo=UTC)
    assert winter == datetime(2026, 1, 1, 23, tzinfo=UTC)


def test_empty_cells_of_a_called_default_get_one_each():
    assert run("label", "", "", "")[0] == (3, 0, 0, 0)
    assert len(set(EveryField.objects.values_list("label", flat=True))) == 3
    assert len(set(EveryField.objects.values_list("id", flat=True))) == 3


def test_what_the_database_makes_itself_no_file_has_to_have():
    assert run("twice", "99")[2]["ignored_columns"] == ["twice"]
    assert EveryField.objects.values_list("served", "twice").get() == (7, 14)


@pytest.mark.parametrize(("name", "cell"), [("blob", "YWJj"), ("document", "../../secrets"), ("id", "1")])
def test_files_and_bytes_are_left_out_and_named(name, cell):
    _, rejects, result = run(name, cell)
    assert (rejects, result["ignored_columns"]) == ([], [name])
    kind = EveryField.objects.get()
    assert (kind.blob, kind.document.name) == (None, "")


def test_a_model_whose_rows_need_what_no_file_can_set_says_which_at_once():
    with pytest.raises(
        LookupError, match=r"tests.UnimportablePart .* need kind \(ForeignKey\), blob \(BinaryField\), which no file"
    ):
        TargetTable(UnimportablePart, fixed={})
    with pytest.raises(LookupError, match=r"need blob \(BinaryField\), which"):
        TargetTable(UnimportablePart, fixed={"kind_id": 1})
    assert TargetTable(UnimportablePart, fixed={"kind_id": 1, "blob": b""}).key
