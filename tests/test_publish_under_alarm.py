"""RabbitMQ in a memory alarm takes no messages: a request does not wait for it, and the job is sent when it is over."""

import pytest
from amqp import Message
from django.utils import timezone

from devtools.processes import wait_until
from tests import in_subprocess
from workers.brokers.connection import count_ready
from workers.models import Job
from workers.runtime import publishing

MAIL = "workers.default.tasks.send_password_reset"
PUBLISH = "from workers import jobs; from workers.models import Job; print(jobs.publish(Job.objects.get()))"
SWEEP = "from workers import jobs; print(jobs.sweep())"


@pytest.fixture
def alarmed(vhost):
    """RabbitMQ has published a message, and raised its alarm."""
    in_subprocess.publish(MAIL, "urgent", BROKER_URL=vhost.url)
    vhost.ctl("set_vm_memory_high_watermark", "absolute", "40MB")
    yield vhost
    vhost.ctl("set_vm_memory_high_watermark", "0.4")


@pytest.fixture
def job(alice, transactional_db) -> Job:
    """A mail that no broker knows of yet."""
    long_ago = timezone.now() - timezone.timedelta(minutes=1)
    return Job.objects.create(task=MAIL, queue="urgent", arguments={"user_id": alice.pk}, queued_at=long_ago)


def test_a_publish_comes_back_and_the_job_is_sent_and_done_once_when_it_is_over(alarmed, job, start, settings):
    broker = {"BROKER_URL": alarmed.url, "BROKER_MANAGEMENT_URL": alarmed.management}
    settings.BROKER_URL = alarmed.url
    said = in_subprocess.run(PUBLISH, **broker)
    assert said.endswith("False\n")
    assert "takes no messages" in said  # told by RabbitMQ, not found out by a timeout
    assert Job.objects.get().dispatched_at is None

    alarmed.ctl("set_vm_memory_high_watermark", "0.4")
    wait_until(lambda: in_subprocess.run(SWEEP, **broker).endswith("1\n"), "the sweep to send it")
    assert Job.objects.get().dispatched_at is not None
    assert in_subprocess.run(PUBLISH, **broker).endswith("True\n")  # and once more, as the blocked one may have been

    start("default", EMAIL_URL="dummymail:", **broker)
    # Deliveries at the same moment may all step back for each other; the sweep brings the job again.
    wait_until(lambda: in_subprocess.run(SWEEP, **broker) and Job.objects.get().is_final, "the mail")
    wait_until(lambda: count_ready("urgent") == 0, "the second delivery")
    mailed = Job.objects.get()
    assert (mailed.state, mailed.attempt, mailed.result) == (Job.State.DONE, 1, {"sent": True})


def test_a_blocked_connection_ends_itself_and_a_free_one_does_not(alarmed, monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", alarmed.url)
    publishing.connection.cache_clear()
    try:
        with publishing.connection().clone() as connection:
            connection.default_channel.queue_declare("free", durable=True)  # only who publishes is blocked
            assert connection.connected
            with pytest.raises(connection.connection_errors, match="takes no messages"):
                connection.default_channel.basic_publish_confirm(Message("x"), routing_key="free")
            assert not connection.connected
    finally:
        publishing.connection.cache_clear()
