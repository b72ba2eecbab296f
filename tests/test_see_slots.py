"""The card of a queue: who works on what, and what one worker more would change."""

import os
import signal
from dataclasses import replace
from uuid import uuid4

import pytest
from celery import current_app
from django.utils import timezone

from devtools.processes import wait_until
from mediaapp.operations.queue_cards import OneMore, one_more
from workers.brokers import UNKNOWN, QueueState
from workers.models import Job
from workers.queues import Queue, Worker
from workers.telemetry import liveness
from workers.telemetry.queue_flow import QueueFlow, QueueRow

VIDEO = Queue("video", target_seconds=600, tasks=())
IMPORTS = replace(VIDEO, name="imports", serialize_by="table", max_writers=2)
WORKER = Worker("video", concurrency=1, queues=(VIDEO,))


def row(queue: Queue = VIDEO, *, ready: int = 100, flow: QueueFlow | None, oldest: float | None = None) -> QueueRow:
    state = QueueState(ready=ready, unacked=0, consumers=1, size_bytes=None, max_messages=None)
    return QueueRow(queue, state, 0, oldest, flow)


@pytest.mark.parametrize(
    ("row", "running", "expected"),
    [
        # 100 wait, 6 arrive and 10 finish a minute: with two workers 20 finish.
        (row(flow=QueueFlow(6, 10, 1500)), 1, OneMore("video", pytest.approx(100 / 14 * 60))),
        # Four workers finish 10, so five finish 12.5.
        (row(flow=QueueFlow(6, 10, 1500)), 4, OneMore("video", pytest.approx(100 / 6.5 * 60))),
        # It grows, and would shrink.
        (row(flow=QueueFlow(15, 10, None)), 1, OneMore("video", pytest.approx(100 / 5 * 60))),
        # It would grow all the same.
        (row(flow=QueueFlow(30, 10, None)), 1, OneMore("video", None)),
        # Two may write a table, and two do.
        (row(IMPORTS, flow=QueueFlow(6, 10, 1500)), 2, OneMore("video", pytest.approx(1500), is_limited=True)),
        # One of the two does.
        (row(IMPORTS, flow=QueueFlow(6, 10, 1500)), 1, OneMore("video", pytest.approx(100 / 14 * 60))),
        # It is short, or empty within a minute, or nobody knows.
        (row(ready=1, flow=QueueFlow(6, 10, 1500)), 1, None),
        (row(flow=QueueFlow(6, 500, 12)), 1, None),
        (row(flow=QueueFlow(6, 0, None)), 1, None),
        (row(flow=QueueFlow(6, 10, 1500)), 0, None),
        (row(flow=None), 1, None),
        (QueueRow(VIDEO, UNKNOWN, 0, None, QueueFlow(6, 10, 1500)), 1, None),
        # It is short, and late.
        (row(ready=1, oldest=700, flow=QueueFlow(6, 10, 15)), 1, OneMore("video", pytest.approx(1 / 14 * 60))),
    ],
)
def test_one_worker_more_finishes_as_much_as_each_of_the_others(row, running, expected):
    assert one_more(row, WORKER, running) == expected


@pytest.mark.django_db(transaction=True)
def test_a_square_is_a_process_and_leads_to_the_job_that_runs_in_it(broker, start, as_stella, alice, monkeypatch):
    """It is idle, then it works, then its worker is silent."""

    def slots(queue: str = "video") -> list:
        cards = {card.row.queue.name: card for card in as_stella.get("/operations/").context["queues"]}
        return list(cards[queue].slots)

    worker = start("video", app="tests.fast_app")
    wait_until(slots, "the worker")
    assert [(slot.task, slot.title.split("@")[0]) for slot in slots()] == [("", "Idle, on video")]
    job = Job.objects.create(pk=uuid4(), task="x", queue="video", owner=alice, queued_at=timezone.now())
    current_app.send_task("tests.faulty_tasks.report_for_ever", args=[str(job.pk)], queue="video", task_id=str(job.pk))
    wait_until(lambda: slots()[0].job_id == job.pk, "the job in its slot")
    page = as_stella.get("/operations/").content.decode()
    card = page.partition('id="queue-video"')[2].partition("queue-card")[0]
    assert f'href="/jobs/{job.pk}/"' in card
    assert slots("imports") == []
    monkeypatch.setattr(liveness, "SILENT_SECONDS", 4)
    os.killpg(worker.pid, signal.SIGSTOP)
    wait_until(lambda: slots()[0].is_silent, "the silence")
    os.killpg(worker.pid, signal.SIGCONT)
