"""What staff do is written down, and stays written."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import RequestFactory
from django.utils import timezone

from mediaapp import action_log
from mediaapp.models import ActionEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry(stella) -> ActionEntry:
    request = RequestFactory().post("/")
    request.user = stella
    action_log.record(request, "pause_queue", "video")
    return ActionEntry.objects.get()


def test_an_action_is_in_the_table_and_in_the_log(caplog, entry: ActionEntry):
    assert (entry.actor, entry.action, entry.target) == ("stella", "pause_queue", "video")
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
