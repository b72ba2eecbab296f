"""A file made to harm (hostile_csv.py) ends with words, or with each of its records counted and what is good stored."""

import io

import pytest

from mediaapp.models import Upload
from mediaapp.uploads.filetypes import UploadRejected, detect_kind
from mediaapp.uploads.mapping import SYNONYMS, catalogue_table
from tests import in_subprocess
from tests.csv_imports import ImportRun, counts
from tests.hostile_csv import TEXTS, hostile_files
from workers.csvimport.cells.formulas import escape_formula, unescape_formula
from workers.csvimport.preview import Preview, make_preview
from workers.csvimport.reading.errors import CsvUnreadable

FILES = hostile_files()
MAX_PEAK_BYTES = 250_000_000
READ_ALL = (
    "import io; from contextlib import closing, suppress; from tests.hostile_csv import hostile_files; "
    "from mediaapp.uploads.mapping import SYNONYMS, catalogue_table; "
    "from workers.csvimport.preview import make_preview; from workers.csvimport.reading.errors import CsvUnreadable; "
    "from workers.telemetry.meter import high_water_bytes\n"
    "for data in hostile_files().values():\n"
    "    with suppress(CsvUnreadable):\n"
    "        make_preview(io.BytesIO(data), catalogue_table(1), synonyms=SYNONYMS, choices={})\n"
    "print(high_water_bytes('self'))"
)


@pytest.mark.django_db
@pytest.mark.parametrize("trick", FILES)
def test_a_hostile_file_ends_with_words_or_with_each_record_counted(alice, trick):
    data = FILES[trick]
    try:
        assert detect_kind(io.BytesIO(data), len(data)) in (Upload.Kind.CSV, Upload.Kind.VIDEO)
        seen = preview(alice, data)
        whole = ImportRun(catalogue_table(alice.pk), data, chunk_lines=10_000)
        result = whole.run(dialect=seen.dialect, start=seen.start, columns=seen.columns)
    except (UploadRejected, CsvUnreadable) as refused:
        words = refused.sentence
    else:
        words = ""
    if words:
        assert words.endswith(".")
        return
    created, updated, _, rejected = counts(result)
    assert alice.catalogue.count() == created
    assert len(whole.rejections) == rejected
    assert result["rows"] >= seen.record_count
    lines = [rejection.line for rejection in whole.rejections]
    assert lines == sorted(set(lines))
    if trick.startswith(("number", "count", "day", "text", "top")) and "external_id" not in trick:
        assert created + updated >= 50  # the good rows


def preview(owner, data: bytes) -> Preview:
    seen = make_preview(io.BytesIO(data), catalogue_table(owner.pk), synonyms=SYNONYMS, choices={})
    if seen.missing:  # its owner takes the first columns
        columns = {"external_id": 0, "title": 1}
        seen = make_preview(io.BytesIO(data), catalogue_table(owner.pk), synonyms=SYNONYMS, choices={}, columns=columns)
    return seen


@pytest.mark.django_db
def test_a_hostile_text_is_stored_as_it_is_or_rejected(alice):
    data = "external_id,title\n" + "".join(f'A{number},"{text}"\n' for number, text in enumerate(TEXTS))
    whole = ImportRun(catalogue_table(alice.pk), data, chunk_lines=10_000)
    whole.run()
    rejected = {rejection.cells[0] for rejection in whole.rejections}
    wanted = {f"A{number}": text.strip() for number, text in enumerate(TEXTS) if f"A{number}" not in rejected}
    assert dict(alice.catalogue.values_list("external_id", "title")) == wanted
    assert all(unescape_formula(escape_formula(text)) == text for text in TEXTS)


def test_two_hundred_hostile_files_leave_the_memory_alone(transactional_db):
    assert len(FILES) >= 200
    assert int(in_subprocess.run(READ_ALL, patient=False).splitlines()[-1]) < MAX_PEAK_BYTES
