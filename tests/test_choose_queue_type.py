"""The work goes the same way through RabbitMQ's quorum queues and its classic ones; and from one type to the other."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from devtools.processes import DEADLINE_SECONDS, ROOT, wait_until
from devtools.rabbitmq import Node
from mediaapp.models import CatalogueItem, User
from mediaapp.uploads.receive import store_upload
from tests import in_subprocess
from tests.conftest import environment
from tests.outages import unreachable_broker
from workers.brokers.declarations import DEAD_LETTER_QUEUE, QUEUE_TYPES
from workers.brokers.rabbitmq import ManagementApi
from workers.models import Job
from workers.queues import table
from workers.runtime import shared_prefetch

pytestmark = pytest.mark.django_db(transaction=True)
TASKS = {"CELERY_WORKER_INCLUDE": "tests.tasks"}
SWEEP = "from workers.jobs import sweep; sweep()"
Start = Callable[..., subprocess.Popen]


def broker_of(node: Node, queue_type: str) -> dict[str, str]:
    return {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management, "QUEUE_TYPE": queue_type}


def types_of(node: Node) -> dict[str, str]:
    """The type of each queue of ours, as RabbitMQ says it."""
    management = ManagementApi(node.management, node.url)
    answer = management._request(f"/api/queues/{management.vhost}?columns=name,type")
    return {queue["name"]: queue["type"] for queue in answer if queue["name"] in {*table().queues, DEAD_LETTER_QUEUE}}


def start_in_vain(name: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A process of the Procfile that ends by itself."""
    (command,) = re.findall(rf"^{name}: (.*)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    env = environment(PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **more)
    return subprocess.run(
        shlex.split(command),
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def upload(owner: User, key: str) -> Job:
    """A small catalogue, whose job no broker knows of yet."""
    with unreachable_broker():
        uploaded = store_upload(owner, ContentFile(f"external_id,title\n{key},One\n".encode(), name="catalogue.csv"))
    Job.objects.filter(pk=uploaded.pk).update(queued_at=timezone.now() - timedelta(seconds=10))
    return Job.objects.get(pk=uploaded.pk)


def is_done(job: Job, broker: dict[str, str]) -> bool:
    in_subprocess.run(SWEEP, **broker)
    job.refresh_from_db()
    return job.state == Job.State.DONE


@pytest.mark.parametrize("queue_type", QUEUE_TYPES)
def test_what_a_killed_worker_had_goes_to_another_and_a_delay_holds_up_nobody(
    vhost: Node, alice: User, start: Start, tmp_path: Path, queue_type: str
):
    broker = broker_of(vhost, queue_type)
    begun, go, later = tmp_path / "begun", tmp_path / "go", tmp_path / "later"
    worker = start("highmem", **broker | TASKS)
    assert set(types_of(vhost).values()) == {queue_type}
    in_subprocess.run(
        "from celery import current_app as app;"
        f"app.send_task('tests.tasks.touch', args=['{later}'], queue='highmem', countdown=600);"
        f"app.send_task('tests.tasks.wait_for', args=['{begun}', '{go}'], queue='highmem')",
        **broker,
    )
    wait_until(begun.exists, "the task to begin")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    begun.unlink()
    start("highmem", **broker | TASKS)
    wait_until(begun.exists, "another worker to begin it")
    go.touch()
    job = upload(alice, "A-1")
    wait_until(lambda: is_done(job, broker), "a job")
    assert CatalogueItem.objects.count() == 1
    assert not later.exists()


def test_a_queue_of_the_other_type_stops_a_worker_with_words_until_it_is_deleted(
    vhost: Node, alice: User, start: Start
):
    before, after = (broker_of(vhost, queue_type) for queue_type in QUEUE_TYPES)
    waiting = upload(alice, "A-1")
    in_subprocess.run(SWEEP, **before)
    assert set(types_of(vhost).values()) == {"quorum"}
    refused = upload(alice, "A-2")
    in_subprocess.run(SWEEP, **after)
    refused.refresh_from_db()
    assert refused.dispatched_at is None
    ended = start_in_vain("highmem", **after)
    assert ended.returncode != 0
    assert "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue" in ended.stdout

    for name in types_of(vhost):
        vhost.ask("DELETE", f"/api/queues/{vhost.url.rpartition('/')[2]}/{name}")
    Job.objects.filter(pk=waiting.pk).update(dispatched_at=timezone.now() - timedelta(seconds=70))
    start("highmem", **after)
    assert set(types_of(vhost).values()) == {"classic"}
    for job in (waiting, refused):
        wait_until(lambda job=job: is_done(job, after), "what waited")
    assert CatalogueItem.objects.count() == 2


@pytest.mark.parametrize("version", ["4.3.0", "4.10.2", "5.0.0-rc.1"])
def test_a_worker_of_classic_queues_refuses_a_server_where_a_countdown_would_block_it(version: str):
    with pytest.raises(shared_prefetch.SharedPrefetchError, match="QUEUE_TYPE"):
        shared_prefetch.refuse({"product": "RabbitMQ", "version": version})


@pytest.mark.parametrize("version", ["3.10.8", "4.0.5", "4.2.1+dev"])
def test_a_worker_of_classic_queues_starts_on_an_older_server(version: str):
    shared_prefetch.refuse({"product": "RabbitMQ", "version": version})
