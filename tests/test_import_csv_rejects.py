"""Rejected rows come back as a CSV that a person mends in a spreadsheet and uploads again."""

import csv
import io

import pytest
from django.utils import timezone

from tests.csv_imports import HEADER, catalogue, counts, import_for
from workers.csvimport.header import REJECTION_COLUMNS
from workers.csvimport.rejected_rows import Rejection, store_rejections, stream_rejections
from workers.models import Job, RejectedRow


@pytest.fixture
def job(alice) -> Job:
    return Job.objects.create(owner=alice, task="import", queue="imports", queued_at=timezone.now())


def report_of(job: Job, owner, data: str | bytes) -> tuple[dict, str]:
    """Imports the data; the result, and the rejected rows as the file to mend."""
    result = import_for(owner, data).run(reject=lambda rows: store_rejections(job.id, rows))
    return result, "".join(stream_rejections(job.id, result["header"], result["delimiter"]))


def parsed(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_the_rows_come_back_with_line_and_reason(alice, job):
    _, text = report_of(job, alice, HEADER + "A1,Dune,,,,abc,\nA2,Ubik,,,,,\nA3\n")
    header, first, second = parsed(text)
    assert header == [*HEADER.strip().split(","), *REJECTION_COLUMNS]
    assert first == ["A1", "Dune", "", "", "", "abc", "", "2", 'price: "abc" is not a number']
    assert second == ["A3", "", "", "", "", "", "", "4", "has 1 cells, and the header has 7"]


def test_only_the_job_s_own_rows_come_back(alice, job):
    other = Job.objects.create(owner=alice, task="import", queue="imports", queued_at=timezone.now())
    store_rejections(other.id, [Rejection(2, "wrong", ["x"])])
    assert parsed("".join(stream_rejections(job.id, ["a"]))) == [["a", *REJECTION_COLUMNS]]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_mended_rows_go_in_at_the_second_upload(alice, job, delimiter):
    data = (HEADER + "=A1,-Dune,@x,+y,,abc,\n'B1,'quoted',,,,abc,\n").replace(",", delimiter)
    result, text = report_of(job, alice, data)
    assert counts(result) == (0, 0, 0, 2)
    assert "'=A1" in text and "'-Dune" in text and "'@x" in text and "'+y" in text  # noqa: PT018
    again = import_for(alice, text.replace(f"{delimiter}abc{delimiter}", f"{delimiter}5{delimiter}"))
    result = again.run()
    assert counts(result) == (2, 0, 0, 0)
    assert result["ignored_columns"] == []
    assert [(row[0], row[1]) for row in catalogue(alice)] == [("'B1", "'quoted'"), ("=A1", "-Dune")]


@pytest.mark.parametrize("title", ["=x", "'=x", "''=x", "' -x", "'x", "@x", "x'=y"])
def test_an_apostrophe_of_ours_is_taken_off_and_one_of_the_owner_s_stays(alice, job, title):
    _, text = report_of(job, alice, HEADER + f"A1,{title},,,,abc,\n")
    import_for(alice, text.replace("abc", "5")).run()
    assert catalogue(alice)[0][1] == title


def test_a_row_with_a_stray_byte_comes_back_until_it_is_mended(alice, job):
    _, text = report_of(job, alice, (HEADER + "A1,Größe,,,,,\n").encode() + b"B1,Caf\xe9,,,,,\n")
    assert counts(import_for(alice, text).run()) == (0, 0, 0, 1)
    assert counts(import_for(alice, text.replace("\ufffd", "é")).run()) == (1, 0, 0, 0)
    assert [row[1] for row in catalogue(alice)] == ["Größe", "Café"]


def test_a_negative_number_is_the_same_number_after_the_round_trip(alice, job):
    _, text = report_of(job, alice, HEADER + "A1,Dune,,,,-5,\n")
    assert "'-5" in text
    again = import_for(alice, text)
    again.run()
    assert again.rejections[0].reason == "price: -5 is less than 0"


def test_unmended_rows_come_back_the_same_every_time(alice, job):
    _, text = report_of(job, alice, HEADER + "A1,Dune,,,,abc,,too,many\nA2\n=A3,'=x,,,,=y,\n")
    second = Job.objects.create(owner=alice, task="import", queue="imports", queued_at=timezone.now())
    _, again = report_of(second, alice, text)
    assert [row[:7] + row[9:] for row in parsed(again)] == [row[:7] + row[9:] for row in parsed(text)]
    assert parsed(again)[0] == parsed(text)[0]


def test_no_cell_of_the_report_is_a_formula(alice, job):
    nasty = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "fine"]
    store_rejections(job.id, [Rejection(2, "=reason", nasty)])
    [header, row] = parsed("".join(stream_rejections(job.id, ["=h", *"bcdefgh"])))
    assert header[0] == "'=h"
    assert [cell[0] == "'" for cell in row] == [True] * 7 + [False, False, True]


def test_a_nul_is_kept_as_its_picture(job):
    store_rejections(job.id, [Rejection(2, "bad\0", ["a\0b"])])
    assert RejectedRow.objects.get().cells == ["a\u2400b"]


def test_no_more_rows_are_kept_than_agreed(job):
    for start in (0, 3, 6):
        store_rejections(job.id, [Rejection(start + number, "wrong", []) for number in range(3)], max_rows=5)
    assert list(RejectedRow.objects.order_by("line").values_list("line", flat=True)) == [0, 1, 2, 3, 4]
