"""A task goes to its own queue, and one worker consumes each queue."""

from dataclasses import replace

import pytest
from celery import current_app
from celery.exceptions import QueueNotFound
from django.utils import timezone

from devtools.processes import ROOT, wait_until
from tests.outages import silent_address
from workers import jobs
from workers.capacity.connections import connection_budgets
from workers.capacity.process_files import read_workers
from workers.models import Job, TaskRun
from workers.practices import locks, queues, timing
from workers.queues import Queue, Table, Worker, load_tasks, table
from workers.telemetry import rollups


@pytest.mark.parametrize("worker", table().workers, ids=lambda worker: worker.name)
def test_every_worker_of_the_table_is_a_line_of_the_procfile(worker):
    found = {command.worker: command.queues for command in read_workers("Procfile")}
    assert found[worker.name] == ",".join(queue.name for queue in worker.queues)


def test_no_two_workers_consume_one_queue():
    names = [queue.name for worker in table().workers for queue in worker.queues]
    assert len(names) == len(set(names))


def test_a_password_mail_and_a_video_share_neither_queue_nor_worker():
    mail = table().queue_of("workers.default.tasks.send_password_reset")
    video = table().queue_of("workers.video.tasks.transcode_video")
    assert table().consumers[mail] != table().consumers[video]


def test_an_unknown_queue_is_an_error_when_sent():
    with pytest.raises(QueueNotFound):
        current_app.send_task("workers.default.tasks.sweep_jobs", queue="urgnet")


def test_a_task_outside_the_table_is_an_error_when_a_job_is_made():
    with pytest.raises(LookupError, match="no_such_task"):
        table().queue_of("workers.default.tasks.no_such_task")


def test_check_is_silent_for_the_shipped_files():
    assert queues.check() == []


def test_check_fires_for_a_queue_without_a_worker(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    (tmp_path / "Procfile").write_text("default: celery --app config worker --hostname default@%h --queues default\n")
    messages = queues.check()
    assert {message.id for message in messages} == {"practices.E301"}
    assert len([m for m in messages if m.msg.startswith("Procfile")]) == 3  # default lacks urgent; two are missing


def test_check_fires_for_a_worker_that_the_table_does_not_know(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    ours = (ROOT / "Procfile").read_text()
    (tmp_path / "Procfile").write_text(ours + "extra: celery --app config worker --hostname extra@%h --queues video\n")
    assert [message.id for message in queues.check()] == ["practices.E301"]


def test_check_fires_for_a_worker_that_two_lines_start(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    ours = (ROOT / "Procfile").read_text()
    (tmp_path / "Procfile").write_text(ours + "more: celery --app config worker --hostname video@%h --queues video\n")
    (message,) = queues.check()
    assert (message.id, "2 lines start the worker video" in message.msg) == ("practices.E301", True)


def test_check_fires_for_a_service_that_reads_other_queues(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    ours = (ROOT / "docker-compose.yml").read_text()
    (tmp_path / "docker-compose.yml").write_text(ours.replace("--queues urgent,default", "--queues default"))
    (message,) = queues.check()
    assert (message.id, message.msg.startswith("docker-compose.yml")) == ("practices.E301", True)


def test_check_fires_for_a_formation_without_a_worker(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    for name in ("Procfile", "docker-compose.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "app.json").write_text('{"formation": {"web": {}, "default": {}, "highmem": {}}}')
    (message,) = queues.check()
    assert (message.id, "video" in message.msg) == ("practices.E301", True)


def test_check_fires_for_a_task_that_is_longer_than_its_queue_allows(monkeypatch):
    monkeypatch.setattr(load_tasks()["workers.default.tasks.sweep_jobs"], "time_limit", 60)
    (message,) = queues.check()
    assert (message.id, "sweep_jobs" in message.msg) == ("practices.E303", True)


def table_with_default_queue(**changes: object) -> Table:
    default, *others = table().workers
    urgent, regular = default.queues
    return replace(table(), workers=(replace(default, queues=(urgent, replace(regular, **changes))), *others))


def test_check_fires_for_a_task_that_is_longer_than_the_impatient_queue_of_its_worker_waits(settings):
    settings.QUEUE_TABLE = table_with_default_queue(max_run_seconds=table().queues["urgent"].target_seconds + 1)
    (message,) = queues.check()
    assert message.id == "practices.E306"
    assert "A task of default may run for 11 s" in message.msg
    assert "urgent may wait for 10 s" in message.msg


def test_a_patient_queue_beside_an_urgent_one_may_have_any_target(settings):
    settings.QUEUE_TABLE = table_with_default_queue(target_seconds=1)
    assert queues.check() == []


def test_check_fires_for_a_message_that_is_delivered_again_while_its_task_runs(monkeypatch):
    monkeypatch.setitem(current_app.steps, "consumer", set())
    monkeypatch.setitem(current_app.conf.broker_transport_options, "visibility_timeout", 3600)
    assert [message.id for message in queues.check()] == ["practices.E304"]


@pytest.mark.parametrize(("option", "value"), [("worker_prefetch_multiplier", 4), ("task_acks_late", False)])
def test_check_fires_for_a_worker_that_prefetches_several_messages(monkeypatch, option, value):
    monkeypatch.setitem(current_app.conf, option, value)
    assert [message.id for message in queues.check()] == ["practices.E305"]


def test_check_fires_for_a_task_without_a_queue(monkeypatch):
    monkeypatch.delitem(table().routes, "workers.video.tasks.transcode_video")
    (message,) = queues.check()
    assert message.id == "practices.E302"
    assert "transcode_video" in message.msg


MAIL, IMPORT = "workers.default.tasks.send_password_reset", "workers.highmem.tasks.import_catalogue"


def table_with_task_in(queue_name: str, task: str, *, is_removed: bool = True) -> Table:
    """The site's table with a task moved, or copied, to another queue."""

    def edit(queue: Queue) -> Queue:
        others = tuple(each for each in queue.tasks if each != task or not is_removed)
        return replace(queue, tasks=(*others, task) if queue.name == queue_name else others)

    workers = (replace(worker, queues=tuple(edit(queue) for queue in worker.queues)) for worker in table().workers)
    return replace(table(), workers=tuple(workers))


@pytest.mark.parametrize("task", [MAIL, IMPORT])
def test_check_fires_for_a_task_of_another_worker_in_the_queue_of_videos(settings, task):
    settings.QUEUE_TABLE = table_with_task_in("video", task)
    found = {message.id: message.msg for message in queues.check()}
    expected = f"The queue video is of the video worker, and this code in the folder of another: {task}"
    assert found["practices.E307"] == expected


def test_check_fires_for_a_queue_that_has_lost_its_only_task(settings):
    settings.QUEUE_TABLE = table_with_task_in("default", MAIL)
    (message,) = queues.check()
    assert (message.id, message.msg) == ("practices.E308", "The queue urgent has no task.")


def test_a_task_may_move_to_another_queue_of_its_worker(settings):
    settings.QUEUE_TABLE = table_with_task_in("maintenance", "workers.highmem.tasks.report_on_rows")
    assert {message.id for message in queues.check()} == {"practices.E303", "practices.E308"}  # and is too long there


def test_check_fires_for_a_task_in_two_queues(settings):
    settings.QUEUE_TABLE = table_with_task_in("default", MAIL, is_removed=False)
    (message,) = queues.check()
    assert (message.id, MAIL in message.msg) == ("practices.E302", True)


def waiting_mail(**fields: object) -> Job:
    """A reset that has waited for a minute, six times what its queue accepts."""
    long_ago = timezone.now() - timezone.timedelta(seconds=60)
    return Job.objects.create(task=MAIL, queue="urgent", queued_at=long_ago, **fields)


def test_the_worker_is_asked_about_a_mail_that_only_waits_for_it(db):
    waiting_mail(dispatched_at=timezone.now())
    finding = queues.verify()
    assert finding.ok is False
    assert finding.reason == "A job in urgent waits for 60 s of 10 s. Is the default worker up?"


def test_the_worker_is_not_blamed_for_a_full_queue_or_a_broker_that_is_away(db):
    waiting_mail(dispatched_at=None)
    finding = queues.verify()
    assert finding.ok is False
    assert "has no message for 60 s of 10 s: Is the queue full, the broker away" in finding.reason
    assert "worker" not in finding.reason


def test_the_worker_is_not_blamed_for_a_silent_mail_server(db):
    now = timezone.now()
    said = {"message": "The mail server did not answer: it is too slow", "attempt": 1, "started_at": now}
    waiting_mail(not_before=now + timezone.timedelta(seconds=50), **said)
    waiting_mail(dispatched_at=now - timezone.timedelta(seconds=30))  # all processes wait for that server
    finding = queues.verify()
    assert finding.ok is False
    assert "1 of urgent failed, to be tried again later. The last one: The mail server did not answer" in finding.reason
    assert "worker" not in finding.reason


def test_a_silent_mail_server_is_named_by_what_its_mails_say(bob, start):
    """On a real worker, whose first try takes 5 s."""
    with silent_address() as address:
        start("default", EMAIL_URL=f"smtp://{address}")
        mail = jobs.create(MAIL, owner_id=bob.pk, arguments={"user_id": bob.pk})
        wait_until(Job.objects.filter(pk=mail.pk, not_before__isnull=False).exists, "the first try to fail")
    assert queues.verify().ok is True  # as long as it is within the target
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(seconds=60))
    finding = queues.verify()
    assert finding.ok is False
    assert finding.reason.startswith(
        "1 of urgent failed, to be tried again later. The last one: The mail server did not"
    )
    assert "worker" not in finding.reason


def test_a_mail_that_failed_a_moment_ago_is_no_finding(db):
    now = timezone.now()
    later = now + timezone.timedelta(seconds=50)
    Job.objects.create(task=MAIL, queue="urgent", queued_at=now, started_at=now, attempt=1, not_before=later)
    assert queues.verify().ok is True


def test_verify_fails_while_a_mail_waits_too_long(alice, django_capture_on_commit_callbacks):
    assert queues.verify().ok is True
    mail = jobs.create("workers.default.tasks.send_password_reset", owner_id=alice.pk, arguments={})
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(seconds=60))
    assert queues.verify().ok is False
    mail.delete()
    assert queues.verify().ok is True


def test_verify_finds_a_mail_that_waits_for_its_worker_beside_videos(bob, start, monkeypatch):
    """On real processes: the finding changes while the worker is down, and no run alone is a p95."""
    monkeypatch.setitem(table().queues, "urgent", replace(table().queues["urgent"], target_seconds=1))
    for _ in range(3):
        jobs.create("workers.video.tasks.transcode_video", owner_id=bob.pk, arguments={"source": "none"})
    mail = jobs.create("workers.default.tasks.send_password_reset", owner_id=bob.pk, arguments={"user_id": bob.pk})
    assert queues.verify().ok is True
    wait_until(lambda: queues.verify().ok is False, "the finding")
    start("default")
    wait_until(lambda: Job.objects.get(pk=mail.pk).is_final, "the mail")
    finding = queues.verify()
    assert (finding.ok, "3 queued elsewhere" in finding.summary) == (True, True)
    wait_until(rollups.collect_runs, "the run")
    assert queues.verify().ok is True


@pytest.mark.parametrize(("runs", "is_ok"), [(19, True), (20, False)])
def test_verify_fails_while_one_in_twenty_mails_has_waited_too_long(db, runs, is_ok):
    for number in range(runs):
        wait = 60.0 if number < 2 else 0.1
        TaskRun.objects.create(
            id=number, task="mail", queue="urgent", outcome="succeeded", ended_at=timezone.now(), wait_seconds=wait
        )
    finding = queues.verify()
    assert (finding.ok, "one run in twenty" in finding.reason) == (is_ok, not is_ok)
    TaskRun.objects.update(ended_at=timezone.now() - timezone.timedelta(hours=2))
    assert queues.verify().ok is True


def test_verify_holds_while_a_video_waits(alice):
    jobs.create("workers.video.tasks.transcode_video", owner_id=alice.pk, arguments={})
    Job.objects.update(queued_at=timezone.now() - timezone.timedelta(hours=1))
    finding = queues.verify()
    assert finding.ok is True
    assert "1 queued elsewhere" in finding.summary


@pytest.mark.parametrize("part", ["canary_task", "telemetry_tasks", "broker_tasks", "sweep_task"])
def test_check_fires_for_a_misspelled_task_of_the_table(db, settings, part):
    name = "workers.default.tasks.nope"
    settings.QUEUE_TABLE = replace(table(), **{part: name if part.endswith("task") else (name,)})
    assert ("practices.E302", True) in [(message.id, name in message.msg) for message in queues.check()]
    connection_budgets()  # and nothing else fails for it
    timing.verify()


def test_check_fires_for_a_scheduled_task_that_does_not_exist(monkeypatch):
    entry = {"task": "workers.default.tasks.nope", "schedule": 10.0, "options": {"expire_seconds": 5}}
    monkeypatch.setitem(current_app.conf.beat_schedule, "a typo", entry)
    (message,) = queues.check()
    assert (message.id, entry["task"] in message.msg) == ("practices.E302", True)


def test_check_fires_for_a_worker_whose_folder_is_missing(settings):
    audio = Worker("audio", 1, (Queue("audio", 60, ("workers.audio.tasks.encode",), max_messages=10),))
    settings.QUEUE_TABLE = replace(table(), workers=(*table().workers, audio))
    found = {message.id: message.msg for message in queues.check()}
    assert "workers.audio.tasks.encode" in found["practices.E302"]
    assert locks.check() == timing.check() == []
