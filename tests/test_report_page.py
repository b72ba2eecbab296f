"""A user requests a report, reads it and downloads its rows."""

import json
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from mediaapp.models import CatalogueItem, Report, User
from mediaapp.reports import MAX_REPORTS, request_report
from tests.factories import State, upload_of
from tests.test_report_figures import COLUMNS, FULL, ComputedReport
from workers import jobs
from workers.capacity.run_memory import MAIN_PROCESS_BYTES, MB
from workers.highmem.tasks import delete_files
from workers.models import Job

HOSTILE = "<script>alert(1)</script>"
MADE = {"rows": 3, "seconds": 1.2, "peak_bytes": 150 * MB, "expected_bytes": 180 * MB}


VARIED = [("Emma", "Austen", 4, Decimal("8.50"), 0.25, date(1815, 12, 23), False), FULL]


def finished(owner: User, folder: Path, rows: list[tuple] | None = None, **result: int) -> Report:
    """A report with the state and the files that its worker writes."""
    report = request_report(owner)
    now = timezone.now()
    moments = {"started_at": now, "finished_at": now}
    Job.objects.filter(pk=report.pk).update(state=State.DONE, result=MADE | result, attempt=1, **moments)
    made = ComputedReport(folder, [(HOSTILE, *FULL[1:])] * 2 + [FULL] if rows is None else rows)
    names = {"summary": "report.json", "parquet": "rows.parquet", "csv": "rows.csv"}
    for kind, path in made.paths.items():
        default_storage.save(report.storage_name(names[kind]), ContentFile(path.read_bytes()))
    return Report.objects.get(pk=report.pk)


def page_of(report: Report) -> str:
    return reverse("job", args=[report.pk])


def text_of(client, report: Report) -> str:
    return client.get(page_of(report)).content.decode()


@pytest.fixture
def dune(alice) -> CatalogueItem:
    return CatalogueItem.objects.create(owner=alice, external_id="A1", title="Dune")


def test_a_click_creates_a_report_and_shows_its_page(as_alice, alice, dune):
    answer = as_alice.post(reverse("report_on_catalogue"))
    report = Report.objects.get()
    assert (report.owner, report.upload, answer.url) == (alice, None, page_of(report))
    job = report.job
    assert (job.owner, job.queue, job.state) == (alice, "highmem", State.QUEUED)
    assert job.arguments == {"table": "mediaapp.CatalogueItem", "same": ["title", "creator"]}
    assert "Report on your catalogue" in text_of(as_alice, report)
    state_section = text_of(as_alice, report).partition('id="state"')[2].partition("</section>")[0]
    assert "file" not in state_section


def test_a_second_click_shows_the_unfinished_report(as_alice, as_bob, bob, dune):
    CatalogueItem.objects.create(owner=bob, external_id="B1", title="Ubik")
    first = as_alice.post(reverse("report_on_catalogue")).url
    assert as_alice.post(reverse("report_on_catalogue")).url == first
    Job.objects.update(state=State.RUNNING)
    assert as_alice.post(reverse("report_on_catalogue")).url == first
    assert as_bob.post(reverse("report_on_catalogue")).url != first
    Job.objects.update(state=State.DONE)
    assert as_alice.post(reverse("report_on_catalogue")).url != first


@pytest.mark.django_db(transaction=True)
def test_a_click_does_not_wait_for_an_import_of_the_same_owner(alice):
    with closing(connection.copy()) as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM mediaapp_user WHERE id = %s FOR KEY SHARE", [alice.pk])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '1s'")
            assert request_report(alice)


def test_an_empty_catalogue_has_no_report(as_alice):
    answer = as_alice.post(reverse("report_on_catalogue"), follow=True)
    assert answer.redirect_chain == [(reverse("catalogue"), 302)]
    assert reverse("report_on_catalogue") not in answer.content.decode()
    assert not Report.objects.exists()


def test_one_file_has_a_report_of_its_own(as_alice, as_bob, alice, dune):
    upload = upload_of(alice, State.DONE, kind="csv", name="books.csv")
    address = reverse("report_on_upload", args=[upload.pk])
    assert address in as_alice.get(reverse("job", args=[upload.pk])).content.decode()
    assert as_bob.post(address).status_code == 404
    assert as_alice.post(address).url != as_alice.post(reverse("report_on_catalogue")).url
    report = Report.objects.get(upload=upload)
    assert report.job.arguments["source"] == upload.file
    assert "Report on books.csv" in text_of(as_alice, report)
    film = upload_of(alice, State.DONE)
    assert as_alice.post(reverse("report_on_upload", args=[film.pk])).status_code == 404


def test_a_finished_report_shows_every_column_with_its_charts(as_alice, alice, tmp_path):
    page = text_of(as_alice, finished(alice, tmp_path, [*VARIED, (*FULL[:5], None, None)]))
    for name in COLUMNS:
        assert f"{name.capitalize()} <span" in page
    assert page.count("<figure") == 5  # booleans have no histogram, nor titles of equal length
    assert "1965-08-01" in page
    assert "9.90" in page
    assert "in title and creator: 1 group." in page
    assert "1 s" in page


def test_markup_in_cells_is_escaped(as_alice, alice, tmp_path):
    page = text_of(as_alice, finished(alice, tmp_path))
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "style=" not in page  # the Content-Security-Policy forbids it


@pytest.mark.parametrize("rows", [[], [(None,) * 7], [FULL]])
def test_a_report_on_no_row_no_value_or_one_row_has_a_page(as_alice, alice, tmp_path, rows):
    page = as_alice.get(page_of(finished(alice, tmp_path, rows)))
    assert page.status_code == 200
    assert ("There was no row to report on" in page.content.decode()) == (not rows)


@pytest.mark.parametrize(
    ("peak_bytes", "text"),
    [
        (256 * MB - MAIN_PROCESS_BYTES, "<b>50 %</b>"),
        (256 * MB - MAIN_PROCESS_BYTES, "Counted with the 256.0\xa0MB of all the worker's processes."),
        (768 * MB - MAIN_PROCESS_BYTES, "150 % of the memory: <b>the dyno would have swapped</b>"),
        (1280 * MB - MAIN_PROCESS_BYTES, "250 % of the memory: <b>the dyno would have been killed</b>"),
    ],
)
def test_the_page_says_what_the_run_would_do_to_a_small_dyno(as_alice, alice, tmp_path, peak_bytes, text):
    assert text in text_of(as_alice, finished(alice, tmp_path, peak_bytes=peak_bytes))


def test_the_first_title_of_an_htmx_answer_is_the_pages(as_alice, alice, tmp_path):
    """htmx uses the first title in an answer."""
    progress = reverse("progress", args=[finished(alice, tmp_path).pk])
    answer = as_alice.get(progress, headers={"HX-Request": "true"}).content.decode()
    assert answer.count("<title>") > 1
    assert answer.partition("<title>")[2].strip().startswith("Done: Report on your catalogue")


def test_the_rows_can_be_downloaded_as_csv_and_parquet(as_alice, alice, tmp_path):
    report = finished(alice, tmp_path)
    for kind, start in (("csv", b"\xef\xbb\xbftitle,creator"), ("parquet", b"PAR1")):
        answer = as_alice.get(reverse(kind, args=[report.pk]))
        assert answer.headers["Content-Disposition"] == f'attachment; filename="Report on your catalogue.{kind}"'
        assert b"".join(answer).startswith(start)
        assert "private" in answer.headers["Cache-Control"]


def test_another_user_gets_404_for_every_page_of_a_report(as_bob, as_stella, client, alice, tmp_path):
    report = finished(alice, tmp_path)
    for name in ("job", "progress", "progress_json", "csv", "parquet"):
        address = reverse(name, args=[report.pk])
        assert as_bob.get(address).status_code == 404
        assert client.get(address).status_code in (302, 404)
        staff = as_stella.get(address)
        assert staff.status_code == 200
        list(staff)
    for name in ("cancel", "retry"):
        assert as_bob.post(reverse(name, args=[report.pk])).status_code == 404
    catalogue = as_bob.get(reverse("catalogue")).content.decode()
    assert str(report.pk) not in catalogue


def test_a_report_without_files_is_404(as_alice, alice):
    report = request_report(alice)
    assert as_alice.get(reverse("csv", args=[report.pk])).status_code == 404
    upload = upload_of(alice, State.DONE, kind="csv")
    assert as_alice.get(reverse("csv", args=[upload.pk])).status_code == 404


def test_a_failed_report_shows_its_reason_and_can_be_retried(as_alice, alice):
    report = request_report(alice)
    Job.objects.update(state=State.FAILED, message="This report needs about 3.1 GB.", finished_at=timezone.now())
    page = text_of(as_alice, report)
    assert "This report needs about 3.1 GB." in page
    as_alice.post(reverse("retry", args=[report.pk]))
    assert Job.objects.get().state == State.QUEUED


def test_a_queued_report_can_be_cancelled(as_alice, alice):
    report = request_report(alice)
    as_alice.post(reverse("cancel", args=[report.pk]))
    assert Job.objects.get().state == State.CANCELLED
    assert "Your file" not in text_of(as_alice, report)


def test_the_catalogue_lists_the_reports_newest_first(as_alice, alice, dune, tmp_path):
    old = finished(alice, tmp_path)
    new = request_report(alice)
    page = as_alice.get(reverse("catalogue")).content.decode()
    assert page.index(page_of(new)) < page.index(page_of(old))
    assert "Make a report" in page


def test_a_deleted_reports_files_are_deleted_and_others_stay(alice, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    gone, stays = finished(alice, tmp_path / "a"), finished(alice, tmp_path / "b")
    gone.job.delete()
    delete_files.run(str(Job.objects.get(task=delete_files.name).pk))
    assert not default_storage.exists(f"reports/{gone.pk}")
    assert default_storage.exists(stays.storage_name("rows.csv"))


def test_the_newest_reports_of_an_owner_are_kept(alice, bob):
    report_of_bob = request_report(bob)
    made = []
    for _ in range(MAX_REPORTS + 2):
        made.append(request_report(alice).pk)
        Job.objects.update(state=State.DONE)
    kept = Report.objects.filter(owner=alice).order_by("created_at")
    assert [report.pk for report in kept] == made[-MAX_REPORTS:]
    assert Report.objects.filter(pk=report_of_bob.pk).exists()


def test_a_program_gets_the_figures_of_the_run(as_alice, alice, tmp_path):
    report = finished(alice, tmp_path)
    state = json.loads(as_alice.get(reverse("progress_json", args=[report.pk])).content)
    assert (state["state"], state["result"]) == ("done", MADE)
    assert jobs.state_of(report.job)["state"] == "done"
