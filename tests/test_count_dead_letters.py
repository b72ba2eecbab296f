"""Messages that RabbitMQ dropped because they expired are recorded as runs that did not happen."""

import pytest
from django.utils import timezone

from devtools.processes import wait_until
from devtools.rabbitmq import Node
from tests import in_subprocess
from workers.brokers.declarations import QUEUE_TYPES
from workers.models import TaskRun
from workers.telemetry import dead_letters

pytestmark = pytest.mark.django_db(transaction=True)
SWEEP = "workers.default.tasks.sweep_jobs"
PUBLISH = f"""
from celery import current_app
from workers.practices import broker
broker.prepare_queues()
for expires in (0.2, 0.2, 600):
    current_app.send_task({SWEEP!r}, queue="default", expires=expires)
"""
COLLECT = """
from workers.telemetry import dead_letters, rollups
print(dead_letters.collect_dead_letters(on_letter=lambda *_: None), rollups.collect_runs())
"""


@pytest.mark.parametrize("queue_type", QUEUE_TYPES)
def test_expired_runs_are_recorded_once_and_a_waiting_message_stays(vhost: Node, queue_type: str):
    broker = {"BROKER_URL": vhost.url, "BROKER_MANAGEMENT_URL": vhost.management, "QUEUE_TYPE": queue_type}
    in_subprocess.run(f"exec({PUBLISH!r})", **broker)
    wait_until(
        lambda: in_subprocess.run(f"exec({COLLECT!r})", **broker) and TaskRun.objects.count() >= 2, "two dead letters"
    )
    assert in_subprocess.run(f"exec({COLLECT!r})", **broker) == "0 0\n"
    assert set(TaskRun.objects.values_list("task", "queue", "outcome")) == {(SWEEP, "default", "expired")}
    assert TaskRun.objects.count() == 2
    waits = "from workers.brokers.connection import count_ready; print(count_ready('default'))"
    assert in_subprocess.run(waits, **broker) == "1\n"


def test_a_message_that_was_delivered_too_often_is_lost():
    death = {"reason": "delivery_limit", "queue": "video", "count": 1, "time": timezone.now()}
    parsed = dead_letters.parse_headers({"task": "workers.video.tasks.transcode_video", "x-death": [death]})
    assert parsed == ("workers.video.tasks.transcode_video", "video", "lost")


def test_redis_has_no_dead_letters():
    assert dead_letters.collect_dead_letters(lambda *_: None) == 0
