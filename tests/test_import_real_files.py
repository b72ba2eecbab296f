"""Any real CSV: every file of tests/csv_files.py is guessed right or asked about, and its rows are counted."""

import io

import pytest

from mediaapp.uploads.mapping import catalogue_table, guess_import_arguments, preview_mapping
from tests.csv_files import FILES
from workers.csvimport.run import CsvImport


@pytest.mark.parametrize("trouble", FILES)
def test_it_is_taken_as_it_was_meant(alice, trouble):
    file = FILES[trouble]
    source = io.BytesIO(file.data)
    told = guess_import_arguments(alice.pk, source)
    assert (told["dialect"] is None) == bool(file.asks)
    seen, _ = preview_mapping(alice.pk, source, file.choices)
    if file.asks in ("encoding", "decimal", "dates"):
        assert file.asks in preview_mapping(alice.pk, source)[0].doubts
    assert not seen.doubts
    rejects: list = []
    result = CsvImport(
        source=source,
        table=catalogue_table(alice.pk),
        checkpoint={},
        save=lambda checkpoint, result: None,
        reject=rejects.extend,
        report=lambda *told, **counts: None,
        dialect=seen.dialect,
        columns=seen.columns,
    ).run()
    assert (result["created"], result["rejected"], len(rejects)) == (file.created, file.rejected, file.rejected)
    assert len(seen.rejections) == file.rejected  # the preview has promised the same
    item = alice.catalogue.filter(external_id="A1").first()
    assert item
    assert {name: str(getattr(item, name)) for name in file.holds} == {
        name: str(value) for name, value in file.holds.items()
    }


def test_there_are_as_many_as_the_issue_wants():
    assert len(FILES) >= 30
