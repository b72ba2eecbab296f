"""A report estimates its memory, is refused or stopped if it does not fit, and no worker imports polars."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.db import models

from devtools.processes import ROOT
from mediaapp.models import CatalogueItem
from tests.conftest import environment
from tests.test_report_figures import COLUMNS, FULL
from workers.csvimport.target_table import TargetTable
from workers.reports import rows, run
from workers.reports.rows import RowSource, csv_line, rows_from_file, rows_from_table
from workers.reports.run import ReportMemoryError, build_report

LARGE = 10**12
FIELDS: dict[str, models.Field] = {
    "text": models.TextField(),
    "whole": models.IntegerField(),
    "decimal": models.DecimalField(max_digits=10, decimal_places=2),
    "float": models.FloatField(),
    "day": models.DateField(),
    "truth": models.BooleanField(),
}


def some_rows(count: int, opened: list | None = None) -> RowSource:
    """Some rows, with fields of every kind."""

    def chunks():
        if opened is not None:
            opened.append(True)
        yield b"".join(map(csv_line, [FULL] * count)), count

    fields = [FIELDS[kind].clone() for kind, _, _ in COLUMNS.values()]
    for name, field in zip(COLUMNS, fields, strict=True):
        field.set_attributes_from_name(name)
    return RowSource(fields, count, 11 * count, [], chunks())


def build(given: RowSource, folder: Path, limit: int = LARGE, report=lambda *_: None) -> dict:
    return build_report(given, same=["title"], folder=folder / "report", limit=limit, report=report)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "report").glob("*"))


def test_a_report_that_fits_is_built_with_progress(tmp_path):
    reported: list = []
    made = build(some_rows(1000), tmp_path, report=lambda *step: reported.append(step))
    assert files_in(tmp_path) == ["report.json", "rows.csv", "rows.parquet"]
    assert made["rows"] == 1000
    assert 0 < made["peak_bytes"] < made["expected_bytes"]
    assert [step[0] for step in reported] == sorted(step[0] for step in reported)
    assert {step[1] for step in reported} == {100}
    assert reported[0] == (0, 100, "reading rows")


def test_a_report_that_does_not_fit_is_refused_with_both_figures_and_reads_no_row(tmp_path):
    opened: list = []
    large = some_rows(30_000_000, opened)
    with pytest.raises(ReportMemoryError) as refused:
        build(large, tmp_path, 2_460_000_000)
    needed = refused.value.sentence.partition("needs about ")[2].partition(" GB")[0]
    assert 7 <= float(needed) < 9  # what the tests' own process has is a part of it
    assert "its worker has 2.5 GB, so it was not begun" in refused.value.sentence
    assert (opened, files_in(tmp_path)) == ([], [])


def test_a_report_that_grows_beyond_its_estimate_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "BASE_BYTES", 0)
    monkeypatch.setattr(run, "BYTES_PER_BYTE", 0)
    with pytest.raises(ReportMemoryError, match="so it was stopped"):
        build(some_rows(100_000), tmp_path, run.high_water_bytes("self") + 30_000_000)
    assert files_in(tmp_path) == []


def test_a_cancelled_report_leaves_nothing_and_keeps_the_last_one(tmp_path):
    class Cancelled(Exception):
        pass

    def report(done, total, stage):
        if done >= 50:
            raise Cancelled

    build(some_rows(10), tmp_path)
    before = {path: path.stat().st_ino for path in (tmp_path / "report").iterdir()}
    (tmp_path / "report" / ".making-old").mkdir()  # a killed attempt's
    with pytest.raises(Cancelled):
        build(some_rows(10), tmp_path, report=report)
    assert {path: path.stat().st_ino for path in (tmp_path / "report").iterdir()} == before


def test_an_error_of_the_process_has_its_stderr_as_detail(tmp_path):
    broken = some_rows(1)
    wrong = RowSource(broken.fields, 1, 1, [], (chunk for chunk in [(b'"a","b","no number",,,,\n', 1)]))
    with pytest.raises(RuntimeError, match="no number"):
        build(wrong, tmp_path)
    assert files_in(tmp_path) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("debug", [False, True])
def test_the_rows_of_a_table_are_counted_before_they_are_read(alice, bob, settings, debug):
    settings.DEBUG = debug
    for owner, title in ((alice, "größe"), (alice, 'two\nlines, "quoted"'), (bob, "x" * 200)):
        CatalogueItem.objects.create(owner=owner, external_id=title[:5], title=title, price=None, stock=0)
    found = rows_from_table(TargetTable(CatalogueItem, {"owner_id": alice.pk}))
    assert found.count == 2
    assert found.text_bytes == len("größe".encode()) * 2 + len('two\nlines, "quoted"') + 5
    assert found.memory_bytes == found.text_bytes + 2 * (4 * 16 + 4 + 16 + 8)
    assert list(found.chunks) == [('größe,größe,"","",,,0\n"two\nl","two\nlines, ""quoted""","","",,,0\n'.encode(), 2)]


@pytest.mark.django_db
def test_long_cells_count_for_the_size_of_a_table(alice):
    CatalogueItem.objects.create(owner=alice, external_id="A1", title="x" * 200, creator="y" * 200)
    assert rows_from_table(TargetTable(CatalogueItem, {"owner_id": alice.pk})).text_bytes == 402


def test_the_valid_rows_of_a_file_are_read_as_those_of_a_table(tmp_path):
    path = tmp_path / "books.csv"
    path.write_text('external_id;title;stock;x\nA1;"a ""b""";3;\nA2;;1;\nA3;Ubik;;\n')
    with path.open("rb") as source:
        found = rows_from_file(source, TargetTable(CatalogueItem, {"owner_id": 1}), lambda: None)
        assert [field.name for field in found.fields] == ["external_id", "title", "stock"]
        assert (found.count, found.text_bytes, found.key) == (3, path.stat().st_size, ["external_id"])
        assert list(found.chunks) == [(b'"A1","a ""b""","3"\n"A3","Ubik",\n', 2)]


def test_a_chunk_has_a_maximum_of_bytes(monkeypatch):
    monkeypatch.setattr(rows, "CHUNK_BYTES", 25)
    assert [count for _, count in rows._in_chunks(line for line in [b"x" * 9 + b"\n"] * 8)] == [3, 3, 2]


@pytest.mark.parametrize("module", ["config.celery", "workers.highmem.tasks", "mediaapp.urls"])
def test_only_the_report_process_imports_polars(module):
    code = f"import django, sys; django.setup(); import {module}; sys.exit('polars' in sys.modules)"
    variables = environment(DJANGO_SETTINGS_MODULE="config.settings")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, check=False)
    assert done.returncode == 0
