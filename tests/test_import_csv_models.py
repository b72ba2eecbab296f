"""The import reads fields, limits and constraints from the model that it is given, and knows none of them by name."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from mediaapp.models import CatalogueItem
from tests.csv_imports import ImportRun, counts, import_for
from tests.holdings import Holding
from workers.csvimport.reading.errors import CsvUnreadable
from workers.csvimport.target_table import TargetTable


@pytest.fixture(autouse=True)
def holdings(db) -> None:
    """Its table, which goes with the test's transaction."""
    with connection.schema_editor(atomic=False) as editor:
        editor.create_model(Holding)


def run(text: str, chunk_lines: int = 4) -> tuple[tuple[int, ...], list[tuple[int, str]]]:
    """The counts, and line and reason of each rejected row."""
    whole = ImportRun(TargetTable(Holding, fixed={}), text, chunk_lines=chunk_lines)
    return counts(whole.run()), [(row.line, row.reason) for row in whole.rejections]


def test_every_kind_of_field_arrives_and_a_column_that_is_left_out_gets_its_default():
    text = 'branch,number,language,weight,bought_at,note\nN,1,de,0.25,2026-01-02T03:04Z,"a\\b\tc\nd"\nN,2,en,,,\n'
    assert run(text) == ((2, 0, 0, 0), [])
    first, second = Holding.objects.order_by("number")
    assert (first.language, first.weight, first.note) == ("de", 0.25, "a\\b\tc\nd")
    assert first.bought_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert (second.language, second.weight, second.bought_at, second.note) == ("en", None, None, "")
    for each in (first, second):
        assert (each.is_lent, each.copies, each.tags, each.barcode) == (False, 1, [], None)


def test_a_default_that_is_called_is_called_for_each_row_and_stays_in_rows_that_are_there():
    run("branch,number,note\nN,1,\nN,2,\n")
    labels = dict(Holding.objects.values_list("number", "label"))
    assert len(set(labels.values())) == 2
    assert run("branch,number,note\nN,1,changed\nN,2,\nN,3,\n")[0] == (1, 1, 1, 0)
    assert labels.items() < dict(Holding.objects.values_list("number", "label")).items()


def test_the_key_is_the_first_unique_constraint_that_no_null_escapes():
    assert [field.name for field in TargetTable(Holding, fixed={}).key] == ["branch", "number"]
    assert [field.name for field in TargetTable(Group, fixed={}).key] == ["name"]
    with pytest.raises(LookupError):
        _ = TargetTable(CatalogueItem, fixed={}).key  # without an owner there is nobody's catalogue
    with pytest.raises(CsvUnreadable, match="number"):
        run("branch\nN\n")


def test_half_of_a_composite_key_is_another_row():
    assert run("branch,number\nN,1\nN,2\nS,1\nN,1\n") == ((3, 0, 1, 0), [])


def test_a_value_that_is_no_choice_is_rejected_in_the_field_s_own_words():
    counted, [(line, reason)] = run("branch,number,language\nN,1,en\nN,2,fr\n")
    assert (counted, line) == ((1, 0, 0, 1), 3)
    assert reason == "language: Value 'fr' is not a valid choice"


BROKEN = [
    ("N,{},,1,0,", "What is lent must be there"),
    ("N,{},,0,1,forbidden", "note: is against a rule of the table (note_allowed)"),
    ("N,{},taken,0,1,", "barcode: another row has the same"),
]


@pytest.mark.parametrize("chunk_lines", [1, 7, 100])
@pytest.mark.parametrize("there", ["none", "some"])
def test_what_the_database_refuses_costs_its_own_rows_and_leaves_the_others_alone(chunk_lines, there):
    run("branch,number,barcode\nX,0,taken\n")
    if there == "some":
        run("branch,number\n" + "".join(f"N,{number}\n" for number in range(1, 40, 3)))
    bad = {5 * place + 2: words for place, (_, words) in enumerate(BROKEN * 4)}
    rows = {number: f"N,{number},,0,1,\n" for number in range(1, 60)}
    rows |= {5 * place + 2: f"{row}\n".format(5 * place + 2) for place, (row, _) in enumerate(BROKEN * 4)}
    counted, rejects = run("branch,number,barcode,is_lent,copies,note\n" + "".join(rows.values()), chunk_lines)
    assert rejects == [(number + 1, words) for number, words in bad.items()]
    assert sum(counted) == 59
    kept = Holding.objects.filter(branch="N")
    refused = set(bad) - (set(range(1, 40, 3)) if there == "some" else set())
    assert set(kept.values_list("number", flat=True)) == set(rows) - refused
    assert not kept.filter(note="forbidden").exists()


def test_a_refused_record_does_not_replace_the_one_before_it():
    counted, rejects = run("branch,number,note\nN,1,good\nN,2,\nN,1,forbidden\n", chunk_lines=100)
    assert counted == (2, 0, 0, 1)
    assert Holding.objects.get(number=1).note == "good"
    assert [line for line, _ in rejects] == [4]


def test_an_owner_who_is_gone_costs_every_row_and_no_traceback(alice):
    alice.pk += 1000
    orphan = import_for(alice, "external_id,title\nA1,Dune\nA2,Ubik\nA3,Solaris\n")
    assert counts(orphan.run()) == (0, 0, 0, 3)
    assert {rejection.reason for rejection in orphan.rejections} == {"owner: is of something that does not exist"}
