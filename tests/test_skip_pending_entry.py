"""Beat skips an entry while its last message waits for a worker, and never for good."""

import json
import time
from types import SimpleNamespace

import pytest
from django.conf import settings as site
from django.core.cache import caches

from devtools.processes import wait_until
from devtools.rabbitmq import Node
from tests import in_subprocess
from tests.outages import UNREACHABLE_URL, make_unreachable
from workers import jobs
from workers.models import Job
from workers.runtime import pending_guard
from workers.telemetry.recorder import STREAM

SWEEP, NIGHTLY = "workers.default.tasks.sweep_jobs", "workers.default.tasks.collect_runs"
PENDING = pending_guard.PENDING_KEY.format("default")
PREPARE = "from workers.practices import broker; broker.prepare_queues(); from celery import current_app; "
SEND = PREPARE + "current_app.send_task({!r}, queue='default', expires={}, headers={{'periodic_task_name': 'a'}})"
WAITING = "from workers.brokers.connection import count_ready; print(count_ready('default'))"


@pytest.fixture
def redis():
    return caches["locks"].client.get_client()


@pytest.fixture(params=["redis", "rabbitmq"])
def brokers(request) -> dict[str, str]:
    """The environment of a site on an empty broker of either kind."""
    if request.param == "redis":
        request.getfixturevalue("broker")
        return {"BROKER_URL": site.BROKER_URL}
    node: Node = request.getfixturevalue("vhost")
    return {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}


def outcomes(redis) -> list[str]:
    """How the runs of the entry ended so far, as it is counted."""
    runs = [json.loads(fields[b"run"]) for _, fields in redis.xrange(STREAM)]
    return [run["outcome"] for run in runs if run["task"] == SWEEP]


def entry(name: str, queue: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(name=name, task=SWEEP, options={"queue": queue} if queue else {})


def test_behind_a_long_lived_message_one_message_waits_and_further_runs_count_as_expired(
    brokers, start, redis, tmp_path
):
    in_subprocess.run(f"exec({SEND.format(NIGHTLY, 3600)!r})", **brokers)
    start("beat", app="tests.fast_app", **brokers)
    wait_until(lambda: len(outcomes(redis)) >= 3, "three runs that are not sent")
    waiting = int(in_subprocess.run(WAITING, **brokers))
    # Beat also sends an entry if the broker does not answer within half a second, as on a busy machine.
    unchecked = (tmp_path / "beat0.log").read_text().count("beat_entry_sent_unchecked")
    assert 2 <= waiting <= 2 + unchecked
    assert set(outcomes(redis)) == {"expired"}


def test_a_worker_clears_the_mark_of_a_message_that_it_runs_or_drops(broker, start, redis):
    start("default")
    for expires in (60, -60):
        redis.zadd(PENDING, {"a": time.time()})
        in_subprocess.run(f"exec({SEND.format(SWEEP, expires)!r})")
        wait_until(lambda: not redis.exists(PENDING), "the mark to go")
    wait_until(lambda: sorted(outcomes(redis)) == ["expired", "succeeded"], "one run of each")


def test_an_entry_is_sent_again_if_its_queue_is_empty(broker):
    assert [pending_guard.try_mark_pending(entry("a")), pending_guard.try_mark_pending(entry("a"))] == [True, True]


def test_entries_of_one_task_and_of_other_queues_do_not_block_each_other(broker):
    for name, queue in (("a", None), ("b", None), ("c", "video")):
        assert pending_guard.try_mark_pending(entry(name, queue))
        broker.lpush(queue or "default", "{}")
    assert [pending_guard.try_mark_pending(entry(name)) for name in ("a", "b")] == [False, False]
    assert not pending_guard.try_mark_pending(entry("c", "video"))


def test_a_message_clears_the_marks_that_are_older_than_it(broker, redis):
    broker.lpush("default", "{}")
    before = time.time()
    assert pending_guard.try_mark_pending(entry("a"))
    pending_guard.clear_marks("default", {"published_at": before})
    pending_guard.clear_marks("video", {"published_at": time.time()})
    pending_guard.clear_marks("default", {})
    assert not pending_guard.try_mark_pending(entry("a"))
    pending_guard.clear_marks("default", {"published_at": time.time()})
    assert pending_guard.try_mark_pending(entry("a"))


def test_an_entry_whose_message_got_lost_is_sent_again_once_a_later_message_is_taken(broker, start, alice, redis):
    """As in a queue that jobs never leave empty."""
    video = pending_guard.PENDING_KEY.format("video")
    assert pending_guard.try_mark_pending(entry("a", "video"))
    job = jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={"source": "gone"})
    assert not pending_guard.try_mark_pending(entry("a", "video"))
    assert redis.exists(video)
    start("video")
    wait_until(lambda: Job.objects.filter(pk=job.pk, state__in=Job.FINAL).exists(), "the end of the job")
    assert not redis.exists(video)


def test_an_entry_is_sent_while_the_broker_is_away(broker, settings):
    assert pending_guard.try_mark_pending(entry("a"))
    settings.BROKER_URL = UNREACHABLE_URL
    assert pending_guard.try_mark_pending(entry("a"))


def test_an_entry_is_sent_while_the_server_of_the_locks_is_away(broker, settings):
    broker.lpush("default", "{}")
    assert pending_guard.try_mark_pending(entry("a"))
    make_unreachable(settings, "locks")
    assert pending_guard.try_mark_pending(entry("a"))
    pending_guard.clear_marks("default", {"periodic_task_name": "a", "published_at": time.time()})
