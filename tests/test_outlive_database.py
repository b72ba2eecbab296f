"""Messages reach a worker while it cannot reach the database: they go back to their queue, and none is lost."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone

from devtools.processes import wait_until
from tests import in_subprocess
from tests.conftest import environment
from tests.faulty_tasks import let_go, lines
from tests.relay import Relay, running_relay
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
TASK = "tests.faulty_tasks.report_for_ever"


@pytest.fixture(params=["valkey", "rabbitmq"])
def broker_url(request, broker, settings) -> str:
    return settings.BROKER_URL if request.param == "valkey" else request.getfixturevalue("vhost").url


@pytest.fixture
def relay() -> Iterator[Relay]:
    """To the database."""
    there = connection.settings_dict
    with running_relay((there["HOST"], int(there["PORT"]))) as relay:
        yield relay


def test_jobs_whose_messages_came_while_the_database_was_away_run_when_it_is_back(
    start, alice, relay, broker_url, tmp_path
):
    server = "{HOST}:{PORT}".format(**connection.settings_dict)
    through_relay = environment()["DATABASE_URL"].replace(server, relay.address)
    start("highmem", app="tests.fast_app", BROKER_URL=broker_url, DATABASE_URL=through_relay)
    relay.is_cut = True
    jobs = [Job.objects.create(task=TASK, queue="highmem", owner=alice, queued_at=timezone.now()) for _ in range(3)]
    publish = (
        "from workers import jobs; from workers.models import Job; [jobs.publish(job) for job in Job.objects.all()]"
    )
    in_subprocess.run(publish, BROKER_URL=broker_url)
    log = tmp_path / "highmem0.log"
    wait_until(lambda: log.read_text().count("job_message_returned") > len(jobs), "all messages to be tried")
    let_go()
    relay.is_cut = False
    wait_until(lambda: not Job.objects.exclude(state=Job.State.DONE).exists(), "the jobs to end")
    ends = Job.objects.values_list("attempt", "crash_count", "dispatch_number")
    assert {*ends} == {(1, 0, 0)}, "a message was lost, and another one sent"
    assert lines() == ["report from 0"] * len(jobs)
