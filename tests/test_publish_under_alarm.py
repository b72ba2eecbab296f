"""RabbitMQ in a memory alarm takes no messages: a publish fails fast, and the sweep publishes after the alarm."""

import re
from pathlib import Path

import pytest
from amqp import Message
from django.utils import timezone

from devtools.processes import wait_until
from tests import in_subprocess
from workers.brokers import producers
from workers.models import Job

MAIL = "workers.default.tasks.send_password_reset"
PUBLISH = "from workers import jobs; from workers.models import Job; print(jobs.publish(Job.objects.get()))"
SWEEP = "from workers import jobs; print(jobs.sweep())"


@pytest.fixture
def alarmed(vhost):
    """RabbitMQ with a message and a memory alarm."""
    in_subprocess.publish(MAIL, "urgent", BROKER_URL=vhost.url)
    vhost.ctl("set_vm_memory_high_watermark", "absolute", "40MB")
    yield vhost
    vhost.ctl("set_vm_memory_high_watermark", "0.4")


@pytest.fixture
def job(alice, transactional_db) -> Job:
    """A job without a message."""
    long_ago = timezone.now() - timezone.timedelta(minutes=1)
    return Job.objects.create(task=MAIL, queue="urgent", arguments={"user_id": alice.pk}, queued_at=long_ago)


def test_a_publish_fails_fast_and_the_job_runs_once_after_the_alarm(alarmed, job, start, settings, tmp_path: Path):
    broker = {"BROKER_URL": alarmed.url, "BROKER_MANAGEMENT_URL": alarmed.management}
    settings.BROKER_URL = alarmed.url
    output = in_subprocess.run(PUBLISH, **broker)
    assert output.endswith("False\n")
    assert "takes no messages" in output  # RabbitMQ said so: no timeout passed
    assert Job.objects.get().dispatched_at is None

    alarmed.ctl("set_vm_memory_high_watermark", "0.4")
    wait_until(lambda: in_subprocess.run(SWEEP, **broker).endswith("1\n"), "the sweep to publish it")
    assert Job.objects.get().dispatched_at is not None
    assert in_subprocess.run(PUBLISH, **broker).endswith(
        "True\n"
    )  # a second message, as a blocked publish may leave one

    start("default", EMAIL_URL="dummymail:", **broker)
    # Two deliveries at the same moment may both give way to the other. Then the sweep publishes the job again.
    wait_until(lambda: in_subprocess.run(SWEEP, **broker) and Job.objects.get().is_final, "the mail")
    log = tmp_path / "default0.log"
    wait_until(lambda: re.search("job_message_ignored|lock_busy", log.read_text()), "the second delivery")
    mailed = Job.objects.get()
    assert (mailed.state, mailed.attempt, mailed.result) == (Job.State.DONE, 1, {"sent": True})


def test_a_connection_closes_when_rabbitmq_blocks_it(alarmed, monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", alarmed.url)
    producers.connection.cache_clear()
    try:
        with producers.connection().clone() as connection:
            connection.default_channel.queue_declare(
                "free", durable=True
            )  # RabbitMQ blocks only connections that publish
            assert connection.connected
            with pytest.raises(connection.connection_errors, match="takes no messages"):
                connection.default_channel.basic_publish_confirm(Message("x"), routing_key="free")
            assert not connection.connected
    finally:
        producers.connection.cache_clear()
