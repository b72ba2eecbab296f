"""A table goes in whole, however a program or a person has written it (strange_csv.py)."""

import io

import pytest

from mediaapp.models import Upload
from mediaapp.uploads.filetypes import detect_kind
from mediaapp.uploads.mapping import SYNONYMS, catalogue_table
from tests.csv_imports import ImportRun
from tests.strange_csv import COUNT, NAMES, ROWS, StrangeFile, draw_file
from workers.csvimport.preview import make_preview

pytestmark = pytest.mark.django_db
BY_POSITION = {"external_id": 0, "title": 1, "price": 2, "released_on": 3}
ASKED = ("unknown", "none")


@pytest.mark.parametrize("file", [draw_file(number) for number in range(COUNT)], ids=str)
def test_a_strange_file_goes_in_whole(alice, file: StrangeFile):
    source = io.BytesIO(file.data)
    assert detect_kind(source, len(file.data)) is Upload.Kind.CSV
    table = catalogue_table(alice.pk)
    by_position = BY_POSITION if file.traits["names"] in ASKED else None
    seen = make_preview(source, table, synonyms=SYNONYMS, choices={}, columns=by_position)
    assert (seen.columns, seen.rejections, seen.doubts) == (BY_POSITION, [], set())
    assert seen.start.has_header == (file.traits["names"] != "none")
    result = ImportRun(table, file.data, dialect=seen.dialect, start=seen.start, columns=seen.columns).run()
    assert (result["created"], result["rejected"]) == (len(ROWS), 0)
    stored = alice.catalogue.values_list("external_id", "title", "price", "released_on")
    # Old Mac and Windows programs end the lines inside a cell as they end others, or do not.
    assert {(key, title.replace("\r", "\n"), price, day) for key, title, price, day in stored} == set(ROWS)


def test_the_files_are_as_many_as_promised_and_differ():
    files = [draw_file(number) for number in range(COUNT)]
    assert len({file.data for file in files}) == COUNT >= 200
    assert {file.traits["names"] for file in files} == {*NAMES}
