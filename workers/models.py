"""What the workers keep in the database. Nothing here knows Celery, the cache or the site."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q


class Job(models.Model):
    """One piece of work, for a user if it has an owner.

    needs_mapping -> queued -> running -> done | failed | cancelled
          ^             ^---------'  requeued
          '--------------------- done | failed | cancelled: its owner changes the mapping
    needs_mapping, queued -> cancelled at once; a running job sees the request and ends itself

    A retry takes a failed or cancelled job back to queued. `attempt`, the fencing token, grows with each claim: a
    process with an older number can write nothing.
    """

    class State(models.TextChoices):
        NEEDS_MAPPING = "needs_mapping"
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE: ClassVar = (State.QUEUED, State.RUNNING)
    FINAL: ClassVar = (State.DONE, State.FAILED, State.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="jobs")
    task = models.CharField(max_length=120)
    queue = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)

    state = models.CharField(max_length=13, choices=State.choices, default=State.QUEUED)
    message = models.TextField(blank=True, help_text="One or two sentences for people.")
    detail = models.TextField(blank=True, help_text="For staff: the last lines of the tool, or the traceback.")
    result = models.JSONField(default=dict)
    checkpoint = models.JSONField(default=dict)

    attempt = models.PositiveIntegerField(default=0)
    # The column keeps its first name: a rollback to an older release finds it.
    crash_count = models.PositiveIntegerField(
        default=0, db_column="deaths", help_text="Attempts whose worker died, since the last checkpoint."
    )
    worker = models.CharField(max_length=120, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True, help_text="Handed back: not to be published earlier.")
    dispatch_number = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Grows when the row needs a new message: the fencing token of its publisher."
    )

    created_at = models.DateTimeField(auto_now_add=True)
    queued_at = models.DateTimeField(help_text="Its place in the queue; a retry starts at the end.")
    dispatched_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(F("queue"), F("queued_at"), name="job_waiting", condition=Q(state="queued")),
            models.Index(F("started_at"), name="job_running", condition=Q(state="running")),
            models.Index(F("owner"), F("created_at").desc(), name="job_of_owner"),
            models.Index(F("finished_at"), name="job_finished"),
            models.Index(F("queue"), F("started_at").desc(), name="job_started"),
        ]

    def __str__(self) -> str:
        return f"{self.task.rpartition('.')[2]} {self.id} ({self.state})"

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL

    @property
    def is_active(self) -> bool:
        """Whether it changes by itself."""
        return self.state in self.ACTIVE


class RejectedRow(models.Model):
    job = models.ForeignKey(Job, models.CASCADE, related_name="rejected_rows")
    line = models.PositiveBigIntegerField()
    reason = models.TextField()
    cells: Any = models.JSONField()

    class Meta:
        indexes: ClassVar = [models.Index(F("job"), F("line"), name="rejected_row_of_job")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


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
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    ended_at = models.DateTimeField()
    wait_seconds = models.FloatField(null=True, help_text="From its publication to its start.")
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
    wait_p95 = models.FloatField(null=True)
    peak_p95 = models.BigIntegerField(null=True)

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
    waiting = models.PositiveIntegerField(null=True)
    unacked = models.PositiveIntegerField(null=True, help_text="Taken by a worker and not finished.")
    consumers = models.PositiveIntegerField(null=True)
    oldest_seconds = models.FloatField(null=True, help_text="Age of the oldest that waits.")

    class Meta:
        indexes: ClassVar = [models.Index(F("queue"), F("taken_at").desc(), name="queue_sample_of_queue")]

    def __str__(self) -> str:
        return f"{self.queue} at {self.taken_at}"
