"""Files as real programs write them (csv_files.py): guessed right or asked about, and every row counted."""

import io

import pytest

from mediaapp.uploads.mapping import catalogue_table, guess_import_arguments, preview_mapping
from tests.csv_files import FILES
from tests.csv_imports import ImportRun


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_read_as_it_was_meant(alice, name):
    file = FILES[name]
    source = io.BytesIO(file.data)
    arguments = guess_import_arguments(alice.pk, source)
    assert (arguments["dialect"] is None) == bool(file.question)
    preview, _ = preview_mapping(alice.pk, source, file.choices)
    if file.question in ("encoding", "decimal", "dates"):
        assert file.question in preview_mapping(alice.pk, source)[0].doubts
    assert not preview.doubts
    whole = ImportRun(
        catalogue_table(alice.pk),
        file.data,
        chunk_lines=10_000,
        dialect=preview.dialect,
        start=preview.start,
        columns=preview.columns,
    )
    result = whole.run()
    assert (result["created"], result["rejected"]) == (file.created, file.rejected)
    assert len(whole.rejections) == len(preview.rejections) == file.rejected
    item = alice.catalogue.filter(external_id="A1").first()
    assert item
    assert {name: str(getattr(item, name)) for name in file.values} == {
        name: str(value) for name, value in file.values.items()
    }


def test_at_least_thirty_real_files_are_read():
    assert len(FILES) >= 30
