from datetime import timedelta

from django.utils import timezone

from workers.models import Job
from workers.practices import backlog
from workers.telemetry.waits import jobs_without_message

REPORT = "workers.highmem.tasks.report_on_rows"


def queued_job(hours_ago, **fields):
    fields = {"task": REPORT, "queue": "highmem", "queued_at": timezone.now() - timedelta(hours=hours_ago)} | fields
    return Job.objects.create(**fields)


def age_of_reports():
    return backlog.oldest_waits().get("highmem", 0.0)


def test_what_has_waited_longest_gives_the_age(db):
    """Of two reports, clicked two hours and one hour ago, the first gives its queue the age, as long as none begins."""
    queued_job(2, dispatched_at=timezone.now())
    queued_job(1)
    age = age_of_reports()
    assert age >= 2 * 3600, f"The older job has a message, which no worker has begun. The queue says {age:.0f} s."


def test_the_alarm_names_a_late_queue(db):
    """The finding fails for a report that was clicked two hours ago, and names its queue."""
    queued_job(2, dispatched_at=timezone.now())
    finding = backlog.verify()
    words = f"Somebody waits for two hours, and the finding says: {finding.summary}. {finding.reason}"
    assert "the oldest waits 72" in finding.summary, words
    assert "The oldest in highmem has waited" in finding.reason, words


def test_a_job_that_has_begun_waits_no_more(db):
    """A report that a worker works on has no age in its queue."""
    queued_job(2, state=Job.State.RUNNING, dispatched_at=timezone.now(), started_at=timezone.now())
    assert age_of_reports() < 3600, "A job that runs still counts as waiting."


def test_no_job_is_counted_twice(db):
    """A job with a message is one of the messages, and not one of the jobs without a message."""
    before = jobs_without_message().get("highmem", 0)
    queued_job(2, dispatched_at=timezone.now())
    queued_job(2)
    assert jobs_without_message().get("highmem", 0) == before + 1, "Two jobs wait, and one of them has a message."
