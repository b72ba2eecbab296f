"""Slow housekeeping holds up no mail: deletions wait for a silent storage, and a reset goes out beside them."""

import time
from collections.abc import Callable
from datetime import timedelta
from subprocess import Popen

import pytest
from django.test import Client
from django.utils import timezone
from redis import Redis

from devtools.mail_server import fresh_mail_server
from devtools.processes import DEADLINE_SECONDS, wait_until
from tests.factories import State
from tests.outages import silent_address
from workers import jobs
from workers.highmem.tasks import delete_files
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
DELETIONS = 8  # two for each process of the default worker


def test_a_reset_does_not_wait_for_deletions_on_a_silent_storage(start: Callable[..., Popen], broker: Redis, alice):
    deletions = Job.objects.filter(task=delete_files.name)
    with fresh_mail_server() as mails, silent_address() as address:
        storage = {"S3_BUCKET": "files", "S3_ENDPOINT_URL": f"http://{address}", "S3_PUBLIC_URL": f"http://{address}"}
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
        for name in ("highmem", "default"):
            start(name, EMAIL_URL=mails.url, **storage, **keys)
        for number in range(DELETIONS):
            jobs.create(delete_files.name, owner_id=None, arguments={"folder": f"uploads/{number}"})
        wait_until(deletions.filter(state=State.RUNNING).exists, "the first deletion")
        assert Client().post("/accounts/password_reset/", {"email": alice.email}).status_code == 302
        arrival = mails.arrivals.get(timeout=DEADLINE_SECONDS)
        arrived_at = timezone.now() - timedelta(seconds=time.monotonic() - arrival)
        # 16 s each: a reset that had waited for a slot would have come after more of them had begun.
        tried = deletions.filter(started_at__lt=arrived_at)
        assert tried.count() <= 2
        assert {job.worker.partition("@")[0] for job in tried} == {"highmem"}
