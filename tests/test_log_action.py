"""What staff do is written down, and stays written."""

import ast
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from devtools.processes import ROOT
from mediaapp.job_search import select
from mediaapp.models import ActionEntry
from mediaapp.operations import action_log
from mediaapp.operations.staff_jobs import CHANGE_TASK
from workers import jobs, log_context

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry(stella) -> ActionEntry:
    request = RequestFactory().post("/")
    request.user = stella
    log_context.request_id.set(log_context.UNKNOWN)
    action_log.record(request, "pause_queue", "video")
    return ActionEntry.objects.get()


def test_an_action_is_in_the_table_and_in_the_log(caplog, entry: ActionEntry):
    assert (entry.actor, entry.action, entry.target) == ("stella", "pause_queue", "video")
    assert entry.request_id == "", "no request is known here"
    logged = [record.getMessage() for record in caplog.get_records("setup")]
    assert "staff_action actor='stella' action=pause_queue target='video' detail=''" in logged


@pytest.mark.parametrize(
    "change", ["UPDATE mediaapp_actionentry SET actor = 'bob'", "DELETE FROM mediaapp_actionentry"]
)
def test_nobody_changes_or_deletes_it_in_the_database_either(entry: ActionEntry, change: str):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert ActionEntry.objects.get().actor == "stella"


def test_the_retention_may_delete_an_old_one():
    old = timezone.now() - timedelta(days=40)
    with connection.cursor() as cursor:
        insert = "INSERT INTO mediaapp_actionentry (at, actor, action, target, detail, request_id)"
        cursor.execute(f"{insert} VALUES (%s, 'stella', 'a', '', '', '')", [old])
    assert ActionEntry.objects.all().delete()[0] == 1


def test_each_action_that_the_code_records_has_its_phrase():
    """f"{change}_jobs" stands for both changes."""
    recorded = {action for path in (ROOT / "mediaapp").rglob("*.py") for action in recorded_actions(path.read_text())}
    many = {action.replace("{change}", change) for action in recorded for change in select.STATES}
    assert len(many) > 8
    assert many == set(action_log.PHRASES)


def recorded_actions(source: str) -> list[str]:
    """The second argument of each call of action_log.record() and record_staff_action()."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    records = [call for call in calls if ast.unparse(call.func) in ("action_log.record", "record_staff_action")]
    return [
        ast.unparse(call.args[1]).lstrip("f").strip("'") for call in records if ast.unparse(call.args[1]) != "action"
    ]


def test_a_cancel_and_a_retry_of_an_own_change_of_many_is_written_down(as_stella, stella):
    arguments = {"change": "retry", "count": 4}
    change = jobs.create(CHANGE_TASK, owner_id=stella.pk, arguments=arguments, publish_now=False)
    for action in ("cancel", "cancel", "retry"):  # the second time there is nothing to do
        as_stella.post(reverse(action, args=[change.pk]))
    entries = list(ActionEntry.objects.order_by("pk").values_list("action", "target", "detail"))
    assert entries == [(name, str(change.pk), "Retry 4 jobs of stella") for name in ("cancel_job", "retry_job")]
