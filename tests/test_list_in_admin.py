"""Staff read the admin's lists: newest first, with owner, state, times and a link to the page of the site."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mediaapp import admin
from mediaapp.models import ActionEntry, Report, User
from tests.conftest import signed_in
from tests.factories import upload_of
from workers.models import Deploy, Incident, Job, Pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_root() -> Client:
    return signed_in(User.objects.create_superuser("root", "root@example.com"))


def rows_of(client: Client, address: str) -> list[str]:
    page = client.get(f"/admin/{address}/").content.decode()
    table = page.partition('id="result_list"')[2].partition("</table>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", table, re.S)[1:]]


def test_what_is_unfinished_comes_first_and_then_the_newest(as_root, alice):
    now = timezone.now()
    for name, minutes in (("older.mov", 60), ("newer.mov", 5)):
        upload_of(alice, Job.State.FAILED, name=name, finished_at=now - timedelta(minutes=minutes))
    upload_of(alice, name="waits.mov")
    uploads = rows_of(as_root, "mediaapp/upload")
    assert [row.split()[0] for row in uploads] == ["waits.mov", "newer.mov", "older.mov"]
    assert [state in row for state, row in zip(("Queued", "Failed", "Failed"), uploads, strict=True)] == [True] * 3
    assert ["alice" in row for row in uploads] == [True] * 3
    jobs = rows_of(as_root, "workers/job")
    assert [row.split()[-1] for row in jobs] == [
        str(Job.objects.get(upload__name=name).pk)[:8] for name in ("waits.mov", "newer.mov", "older.mov")
    ]
    assert jobs[1].startswith("Failed alice Open ")
    assert jobs[1].split()[-3:-1] == ["transcode_video", "video"]


def test_the_admin_speaks_of_action_entries(as_root):
    page = as_root.get("/admin/").content.decode()
    assert "Action entries" in page
    assert "entrys" not in page


@pytest.mark.parametrize("address", ["workers/job", "mediaapp/upload", "mediaapp/report"])
def test_a_row_leads_to_the_page_of_the_site(as_root, alice, address):
    upload = upload_of(alice, Job.State.DONE)
    Report.objects.create(job=upload.job, owner=alice)
    assert f'href="/jobs/{upload.pk}/"' in as_root.get(f"/admin/{address}/").content.decode()


def test_a_large_list_is_not_counted(as_root, alice, monkeypatch):
    for _ in range(3):
        upload_of(alice)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE workers_job")
    monkeypatch.setattr(admin, "MAX_COUNTED", 2)
    for address, is_counted in (("", False), ("?state__exact=queued", True)):
        with CaptureQueriesContext(connection) as queries:
            assert "3 jobs" in as_root.get(f"/admin/workers/job/{address}").content.decode()
        assert any("COUNT(*)" in query["sql"] for query in queries) == is_counted


def test_what_the_site_records_is_read_and_not_changed(as_root):
    now = timezone.now()
    rows = [
        Incident.objects.create(number=8, began_at=now, seen_at=now, summary="3 wait"),
        Deploy.objects.create(release="v7", began_at=now),
        ActionEntry.objects.create(actor="stella", action="pause_queue", target="video"),
        Pause.objects.create(kind="queue", name="video", paused_by="stella"),
    ]
    for row in rows:
        model = row._meta
        address = f"{model.app_label}/{model.model_name}"
        (listed,) = rows_of(as_root, address)
        assert any(word in listed for word in ("3 wait", "v7", "stella"))
        answers = {
            page: as_root.get(f"/admin/{address}/{page}/").status_code
            for page in ("add", f"{row.pk}/change", f"{row.pk}/delete")
        }
        assert answers == {"add": 403, f"{row.pk}/change": 200, f"{row.pk}/delete": 403}
        as_root.post(f"/admin/{address}/{row.pk}/change/", {"name": "other"})
        assert type(row).objects.filter(pk=row.pk).exists()


def test_a_filter_reads_no_column_for_its_choices(as_root, alice, django_assert_max_num_queries):
    upload_of(alice)
    with django_assert_max_num_queries(6) as queries:
        as_root.get("/admin/workers/job/")
    assert [query["sql"] for query in queries.captured_queries if "DISTINCT" in query["sql"]] == []
