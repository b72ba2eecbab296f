"""What is recorded of runs and queues, and its rollups."""

from typing import ClassVar

from django.db import models
from django.db.models import F


class TaskRun(models.Model):
    """Telemetry of one run, kept for 30 days.

    Texts have no limit of length: one that did not fit would stop the collection of all others.
    """

    class Outcome(models.TextChoices):
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        RETRIED = "retried"
        EXPIRED = "expired"
        REFUSED = "refused"
        CANCELLED = "cancelled"
        LOST = "lost"

    id = models.BigIntegerField(primary_key=True, help_text="Its entry in the stream, as one number: drained once.")
    task = models.TextField()
    queue = models.TextField(blank=True)
    worker = models.TextField(blank=True)
    release = models.TextField(blank=True)
    job_id = models.UUIDField(null=True, help_text="Its job, if it has one; the row may be gone.")
    error = models.TextField(default="", db_default="", help_text="The end of the traceback.")
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    ended_at = models.DateTimeField()
    wait_seconds = models.FloatField(
        null=True,
        help_text="Before its start: of a job since it was queued, without earlier attempts, else of its message.",
    )
    run_seconds = models.FloatField(null=True)
    peak_bytes = models.BigIntegerField(null=True, help_text="Of the process and its children, in this run alone.")

    class Meta:
        indexes: ClassVar = [
            models.Index(F("ended_at"), F("task"), name="task_run_ended"),
            # Practice 5 counts the skipped runs of a day, a few of 333,000: 156 ms without this index.
            models.Index(
                F("ended_at"),
                F("task"),
                F("outcome"),
                name="task_run_skipped",
                condition=models.Q(outcome__in=["expired", "refused"]),
            ),
            models.Index(
                F("task"),
                F("ended_at").desc(),
                name="task_run_failed",
                condition=models.Q(outcome__in=["failed", "lost"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.outcome}"


class TaskHour(models.Model):
    """The rollup of a task's runs in one hour, kept for a year."""

    task = models.TextField()
    queue = models.TextField()
    hour = models.DateTimeField()
    outcomes = models.JSONField(help_text="How many runs ended how.")
    runs = models.PositiveIntegerField(help_text="Those with a run time.")
    run_p50 = models.FloatField(null=True)
    run_p95 = models.FloatField(null=True)
    run_max = models.FloatField(null=True)
    wait_p50 = models.FloatField(null=True)
    wait_p95 = models.FloatField(null=True)
    wait_max = models.FloatField(null=True)
    peak_p95 = models.BigIntegerField(null=True)
    peak_max = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "task", "queue"], name="one_hour_per_task_and_queue")
        ]
        indexes: ClassVar = [models.Index(F("task"), F("hour").desc(), name="task_hour_of_task")]

    def __str__(self) -> str:
        return f"{self.task} at {self.hour}"


class QueueSample(models.Model):
    """Taken twice a minute, kept for 30 days."""

    queue = models.CharField(max_length=40)
    taken_at = models.DateTimeField()
    waiting = models.PositiveIntegerField(null=True, help_text="Messages, and jobs that have none yet.")
    unacked = models.PositiveIntegerField(null=True, help_text="Taken by a worker and not finished.")
    consumers = models.PositiveIntegerField(null=True)
    oldest_seconds = models.FloatField(null=True, help_text="Age of the oldest that waits.")
    finished = models.BigIntegerField(null=True, help_text="Runs that ever ended in it, by TaskTotal.")

    class Meta:
        indexes: ClassVar = [models.Index(F("queue"), F("taken_at").desc(), name="queue_sample_of_queue")]

    def __str__(self) -> str:
        return f"{self.queue} at {self.taken_at}"


class QueueHour(models.Model):
    """The rollup of a queue's samples in one hour, kept for a year."""

    queue = models.CharField(max_length=40)
    hour = models.DateTimeField()
    waiting_p50 = models.FloatField(null=True)
    waiting_max = models.PositiveIntegerField(null=True)
    oldest_max = models.FloatField(null=True)
    arrived = models.PositiveIntegerField(null=True)
    finished = models.PositiveIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["queue", "hour"], name="one_hour_per_queue")]

    def __str__(self) -> str:
        return f"{self.queue} at {self.hour}"


class TaskTotal(models.Model):
    """All runs of a task in a queue since the first one: what /metrics counts. It only grows, one row for each pair.

    Buckets: counts by the upper bound in seconds, as Prometheus has them, but not cumulative.
    """

    task = models.TextField()
    queue = models.TextField()
    outcomes = models.JSONField(default=dict, help_text="How many runs ended how.")
    run_buckets = models.JSONField(default=dict)
    run_seconds = models.FloatField(default=0)
    wait_buckets = models.JSONField(default=dict)
    wait_seconds = models.FloatField(default=0)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["task", "queue"], name="one_total_per_task_and_queue")]

    def __str__(self) -> str:
        return f"{self.task} in {self.queue}"
