"""Owners share a queue in fair turns, and each job knows its place in the line."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import Ignore
from django.core.files.base import ContentFile
from django.db.models import F
from django.utils import timezone
from redis import Redis

from devtools.processes import wait_until
from mediaapp.models import User
from mediaapp.uploads.receive import store_upload
from tests import in_subprocess
from tests.faulty_tasks import let_go, lines
from workers import jobs
from workers.jobs import RetryLater, line
from workers.jobs.dispatch import publish_next
from workers.models import Job

pytestmark = pytest.mark.django_db(transaction=True)
VIDEO, IMPORT = "workers.video.tasks.transcode_video", "workers.highmem.tasks.import_catalogue"
RESET = "workers.default.tasks.send_password_reset"


def upload(owner: User | None, count: int = 1, task: str = VIDEO) -> list[Job]:
    return [jobs.create(task, owner_id=owner and owner.pk, arguments={}) for _ in range(count)]


def ids(broker: Redis, queue: str = "video") -> list[str]:
    """Of the jobs whose messages wait, the next one first."""
    return [json.loads(message)["headers"]["id"] for message in reversed(broker.lrange(queue, 0, -1))]


def names(found: list[str], **owned: list[Job]) -> list[str]:
    known = {str(job.pk): f"{name}{number}" for name, all_ in owned.items() for number, job in enumerate(all_, 1)}
    return [known[each] for each in found]


def take(broker: Redis, queue: str = "video", error: Exception | None = None) -> str:
    """Runs the next job, as a worker does. Returns its id."""
    taken = json.loads(broker.rpop(queue))["headers"]["id"]
    with suppress(Ignore), jobs.working_on(taken):
        if error:
            raise error
    return taken


def drain(broker: Redis, queue: str = "video") -> list[str]:
    ran = []
    while broker.llen(queue):
        ran.append(take(broker, queue))
    return ran


def test_one_message_of_each_owner_waits(alice, bob, broker):
    a, b = upload(alice, 200), upload(bob)
    assert names(ids(broker), a=a, b=b) == ["a1", "b1"]


def test_owners_take_turns(alice, bob, broker):
    a, b = upload(alice, 4), upload(bob, 2)
    assert names(drain(broker), a=a, b=b) == ["a1", "b1", "a2", "b2", "a3", "a4"]


def test_a_job_starts_within_two_jobs_of_an_owner_who_has_two_hundred(alice, bob, broker):
    a = upload(alice, 200)
    assert str(a[0].pk) == take(broker)
    b = upload(bob)
    assert names([take(broker), take(broker)], a=a, b=b) == ["a2", "b1"]


def test_an_owner_who_cancels_all_jobs_and_tries_them_again_gets_no_more_turns(start: Callable, alice, bob, broker):
    """The messages of the cancelled jobs are still in the queue."""

    def publish(owner: User) -> Job:
        task = "tests.faulty_tasks.report_for_ever"
        job = Job.objects.create(task=task, queue="video", owner=owner, queued_at=timezone.now())
        publish_next(job)
        return job

    a = [publish(alice) for _ in range(4)]
    for change in (jobs.cancel, jobs.retry):
        for job in a:
            change(job)
    b = [publish(bob)]
    assert broker.llen("video") > 2
    start("video", app="tests.fast_app")
    wait_until(lines, "the first job to begin")
    let_go()
    wait_until(lambda: not Job.objects.exclude(state=Job.State.DONE).exists(), "all jobs to end")
    ran = [str(pk) for pk in Job.objects.order_by("started_at").values_list("pk", flat=True)]
    assert names(ran, a=a, b=b) == ["a1", "b1", "a2", "a3", "a4"]


def test_the_next_message_of_an_owner_waits_while_the_first_is_at_work(alice, broker):
    """So a second worker has work at once."""
    a = upload(alice, 3)
    first = json.loads(broker.rpop("video"))["headers"]["id"]
    with jobs.working_on(first):
        waiting = ids(broker)
    assert names(waiting, a=a) == ["a2"]


def test_the_next_import_of_an_owner_is_published_when_the_first_has_ended(alice, bob, broker):
    a, b = upload(alice, 2, IMPORT), upload(bob, 1, IMPORT)
    first = json.loads(broker.rpop("imports"))["headers"]["id"]
    with jobs.working_on(first):
        meanwhile = ids(broker, "imports")
    assert names(meanwhile, a=a, b=b) == ["b1"]
    assert names(ids(broker, "imports"), a=a, b=b) == ["b1", "a2"]


def test_an_import_that_has_to_try_again_keeps_its_place_before_its_owners_later_ones(alice, bob, broker):
    a, b = upload(alice, 2, IMPORT), upload(bob, 1, IMPORT)
    take(broker, "imports", RetryLater(60, "The storage is away."))
    assert names(drain(broker, "imports"), a=a, b=b) == ["b1"]
    Job.objects.update(not_before=timezone.now())
    jobs.sweep()
    assert names(drain(broker, "imports"), a=a, b=b) == ["a1", "a2"]


def test_a_video_that_has_to_try_again_lets_its_owners_next_one_go(alice, broker):
    a = upload(alice, 2)
    take(broker, error=RetryLater(60, "The storage is away."))
    assert names(drain(broker), a=a) == ["a2"]


def test_cancelling_a_job_that_waits_lets_its_owners_next_one_go(alice, broker):
    a = upload(alice, 2)
    jobs.cancel(a[0])
    assert names(ids(broker), a=a) == ["a1", "a2"]
    assert names(drain(broker), a=a) == ["a1", "a2"]
    assert [Job.objects.get(pk=job.pk).state for job in a] == [Job.State.CANCELLED, Job.State.DONE]


def test_a_failed_job_lets_its_owners_next_one_go(alice, broker):
    a = upload(alice, 2, IMPORT)
    take(broker, "imports", ZeroDivisionError())
    assert names(ids(broker, "imports"), a=a) == ["a2"]


def test_the_sweep_publishes_the_first_of_each_owner_who_has_no_message(alice, bob, broker):
    a, b = upload(alice, 3), upload(bob, 3)
    broker.flushdb()
    Job.objects.update(dispatched_at=None, queued_at=timezone.now() - timedelta(seconds=60))
    assert jobs.sweep() == 2
    assert jobs.sweep() == 0
    assert sorted(names(ids(broker), a=a, b=b)) in ([f"a{n}", f"b{m}"] for n in (1, 2, 3) for m in (1, 2, 3))


def test_jobs_without_an_owner_take_no_turns(broker):
    upload(None, 3)
    assert broker.llen("video") == 3


def test_resets_take_no_turns(alice, broker):
    upload(alice, 3, RESET)
    assert broker.llen("urgent") == 3


@pytest.mark.parametrize("server", ["valkey", "rabbitmq"])
def test_workers_take_turns_on_both_brokers(alice, bob, start: Callable, request, server):
    """Alice's four files are there before Bob's one, which starts after the first of them."""
    broker = {} if server == "valkey" else broker_of(request.getfixturevalue("vhost"))
    for owner, count in ((alice, 4), (bob, 1)):
        for number in range(count):
            file = ContentFile(f"external_id,title\n{number},x\n".encode(), name="a.csv")
            store_upload(owner, file)
    Job.objects.update(dispatched_at=None, queued_at=timezone.now() - timedelta(seconds=60))
    in_subprocess.run("from workers import jobs; print(jobs.sweep())", **broker)
    start("highmem", app="tests.fast_app", PUBLISH_SECONDS="30", **broker)
    wait_until(lambda: Job.objects.filter(state=Job.State.DONE).count() == 5, "the imports", seconds=120)
    owners = list(Job.objects.order_by("started_at").values_list("owner__username", flat=True))
    assert owners.index("bob") <= 1


def broker_of(vhost: Any) -> dict[str, str]:
    return {"BROKER_URL": vhost.url, "BROKER_MANAGEMENT_URL": vhost.management}


def test_the_place_in_line_is_the_order_in_which_the_jobs_start(alice, bob, stella, broker):
    a, b, s = upload(alice, 4), upload(bob, 1), upload(stella, 2)
    take(broker)
    b += upload(bob, 2)
    waiting = list(Job.objects.filter(state=Job.State.QUEUED))
    places = line.places(waiting)
    predicted = [str(job.pk) for job in sorted(waiting, key=lambda job: places[job.pk])]
    assert sorted(place.number for place in places.values()) == list(range(1, 9))
    assert names(drain(broker), a=a, b=b, s=s) == names(predicted, a=a, b=b, s=s)


def test_a_running_job_counts_in_the_line(alice, bob):
    a, b = upload(alice, 2), upload(bob)
    Job.objects.filter(pk=a[0].pk).update(state=Job.State.RUNNING)
    assert jobs.state_of(Job.objects.get(pk=b[0].pk))["queue_position"] == 2
    Job.objects.filter(pk=a[0].pk).update(state=Job.State.DONE)
    assert jobs.state_of(Job.objects.get(pk=b[0].pk))["queue_position"] == 1


def test_other_queues_do_not_count_in_the_line(alice):
    upload(alice, 3)
    (reset,) = upload(alice, 1, RESET)
    assert line.places([reset]) == {reset.pk: (1, False)}


def test_a_job_that_waits_for_its_turn_does_not_say_that_the_queue_is_away(alice, broker):
    a = upload(alice, 3)
    Job.objects.update(queued_at=F("queued_at") - timedelta(seconds=60))
    assert [jobs.state_of(job)["message"] for job in Job.objects.all()] == ["", "", ""]
    Job.objects.filter(pk=a[0].pk).update(dispatched_at=None)
    first, *others = (jobs.state_of(job)["message"] for job in Job.objects.order_by("queued_at"))
    assert (first, others) == (jobs.user_messages.NOT_PUBLISHED, ["", ""])


def test_an_idle_worker_runs_the_job_whose_message_a_busy_one_holds(start: Callable, alice, broker, vhost):
    """On quorum queues (docs/decisions/0004-quorum-queues.md)."""

    def publish(queue: str, task: str) -> Job:
        job = Job.objects.create(task=f"tests.faulty_tasks.{task}", queue=queue, owner=alice, queued_at=timezone.now())
        code = "from workers import jobs; from workers.models import Job; jobs.publish(Job.objects.get(pk='{}'))"
        in_subprocess.run(code.format(job.pk), **there)
        return job

    there = {"BROKER_URL": vhost.url}
    start("highmem", app="tests.fast_app", **there)
    long = publish("highmem", "report_for_ever")
    wait_until(lines, "the long job to begin")
    other = publish("imports", "do_nothing_in_a_job")
    ready = "from workers.brokers.connection import count_ready; print(count_ready('imports'))"
    wait_until(lambda: in_subprocess.run(ready, **there) == "0\n", "the busy worker to hold the message")
    for name in ("highmem", "default", "beat"):
        start(name, app="tests.fast_app", LOST_SECONDS="2", **there)
    wait_until(lambda: Job.objects.get(pk=other.pk).is_final, "the idle worker to run the job")
    assert Job.objects.get(pk=long.pk).state == Job.State.RUNNING
    let_go()
