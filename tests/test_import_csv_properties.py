"""Whatever a table holds, however it is written: it comes in as it was, and bad cells cost their own rows alone."""

import csv
import io
from datetime import date
from decimal import Decimal

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.csv_imports import HEADER, counts, import_for
from tests.test_import_csv_reading import encode

# The same examples every time: a test is to fail for whoever broke it.
bounded = settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.generate],  # shrinking takes minutes, and the examples are small
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# A text is stripped on its way in. What no encoding and no cell can hold is another test's.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufffd\ufeff"), max_size=20).map(str.strip)
# Letters alone: with signs such as € beside them, their bytes could be UTF-8 too.
latin = st.text(st.sampled_from("aZ0 ,;\"'\n\tÀÖØßäöüéèñå"), max_size=20).map(str.strip)
prices = st.none() | st.decimals(0, 99_999_999, places=2)
days = st.none() | st.dates(date(1, 1, 1))
stocks = st.none() | st.integers(0, 2**31 - 1)


def items(text: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple]]:
    """Rows of the catalogue without their keys."""
    return st.lists(st.tuples(text.filter(bool), text, text, days, prices, stocks), max_size=15)


def written(rows: list[tuple], **dialect: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, **dialect)
    writer.writerow(HEADER.strip().split(","))
    writer.writerows((f"A{number}", *row) for number, row in enumerate(rows))
    return text.getvalue()


def kept(owner) -> dict[str, tuple]:
    names = HEADER.strip().split(",")
    return {row[0]: row[1:] for row in owner.catalogue.values_list(*names)}


@bounded
@given(
    st.one_of(
        st.tuples(
            st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le with mark", "utf-16-be with mark"]),
            items(texts),
        ),
        st.tuples(st.just("windows-1252"), items(latin)),
    ),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 7),
)
def test_any_table_in_any_dialect_and_encoding_comes_in_as_it_was(alice, written_as, delimiter, end, chunk_lines):
    encoding, rows = written_as
    alice.catalogue.all().delete()
    data = encode(written(rows, delimiter=delimiter, lineterminator=end), encoding)
    once, again = (import_for(alice, data).run(chunk_lines=chunk_lines) for _ in range(2))
    assert kept(alice) == {f"A{number}": row for number, row in enumerate(rows)}
    assert counts(once) == (len(rows), 0, 0, 0)
    assert counts(again) == (0, 0, len(rows), 0)


BAD = {"title": "", "released_on": "soon", "price": "dear", "stock": "-1"}


@bounded
@given(
    st.integers(1, 25),
    st.dictionaries(st.integers(0, 24), st.sets(st.sampled_from(sorted(BAD)), min_size=1)),
    st.sets(st.integers(0, 24)),
    st.integers(1, 9),
)
def test_good_and_rejected_rows_are_all_and_nothing_else_changes(alice, bob, count, bad, there, chunk_lines):
    names = HEADER.strip().split(",")
    for owner in (alice, bob):
        owner.catalogue.all().delete()
        before = [("Before", "", "", None, None, number) if number in there else None for number in range(25)]
        import_for(owner, written([row or ("", "", "", None, None, None) for row in before])).run()
    untouched = kept(bob)
    rows = [
        dict(zip(names[1:], ("T", "C", "B", "2026-01-02", "1.50", str(number)), strict=True)) for number in range(count)
    ]
    for number in set(bad) & set(range(count)):
        rows[number] |= {name: BAD[name] for name in bad[number]}
    whole = import_for(alice, written([tuple(row.values()) for row in rows]))
    result = whole.run(chunk_lines=chunk_lines)
    wrong = sorted(set(bad) & set(range(count)))
    good = {number for number in range(count) if number not in bad}
    assert counts(result) == (len(good - there), len(good & there), 0, len(wrong))
    assert [(rejection.line, rejection.cells[0]) for rejection in whole.rejections] == [(n + 2, f"A{n}") for n in wrong]
    for rejection, number in zip(whole.rejections, wrong, strict=True):
        assert {reason.partition(":")[0] for reason in rejection.reason.split("; ")} == bad[number]
    new = ("T", "C", "B", date(2026, 1, 2), Decimal("1.50"))
    expected = untouched | {f"A{number}": (*new, number) for number in good}
    assert kept(alice) == expected
    assert kept(bob) == untouched
