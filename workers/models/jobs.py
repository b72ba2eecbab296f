"""A job, its attempts, and what it leaves for its owner."""

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Greatest, Upper

# When a job was queued, started or ended last: what just happened is the newest.
LAST_CHANGE = Greatest("queued_at", "started_at", "finished_at")


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
    error = models.TextField(
        blank=True, default="", db_default="", help_text="For staff: the exception of the last failure in one line."
    )
    error_fingerprint = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="The same for equal errors of different jobs."
    )
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

    request_id = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="Of the request that created it."
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
            models.Index(F("queued_at"), name="job_needs_mapping", condition=Q(state="needs_mapping")),
            models.Index(F("owner"), F("created_at").desc(), name="job_of_owner"),
            models.Index(F("finished_at"), name="job_finished"),
            models.Index(F("queue"), F("started_at").desc(), name="job_started"),
            models.Index(F("queue"), F("finished_at").desc(), name="job_failed", condition=Q(state="failed")),
            # For the search of the staff (mediaapp/job_search/find.py).
            models.Index(LAST_CHANGE.desc(), F("id").desc(), name="job_newest"),
            models.Index(F("owner"), LAST_CHANGE.desc(), F("id").desc(), name="job_of_owner_newest"),
            models.Index(F("task"), LAST_CHANGE.desc(), F("id").desc(), name="job_of_task_newest"),
            models.Index(F("queue"), LAST_CHANGE.desc(), F("id").desc(), name="job_of_queue_newest"),
            # Of few jobs, so that no usual change of a job writes to them. What waits or runs has indexes above.
            models.Index(
                F("state"),
                LAST_CHANGE.desc(),
                F("id").desc(),
                name="job_of_state_newest",
                condition=Q(state__in=["needs_mapping", "failed", "cancelled"]),
            ),
            models.Index(F("error_fingerprint"), LAST_CHANGE.desc(), name="job_of_error", condition=Q(state="failed")),
            GinIndex(OpClass(Upper("error"), "gin_trgm_ops"), name="job_error_text", condition=Q(state="failed")),
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


class JobAttempt(models.Model):
    """One attempt at a job. It ends when the job's row says so, or when recovery takes the job from a dead worker.

    The constraint on `job` is in the migration: PostgreSQL deletes attempts with their job, also for a release that
    does not know this table.
    """

    class Outcome(models.TextChoices):
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"
        REQUEUED = "requeued"
        LOST = "lost"

    job = models.ForeignKey(Job, models.CASCADE, related_name="attempts", db_constraint=False, db_index=False)
    number = models.PositiveIntegerField()
    worker = models.TextField(blank=True)
    release = models.TextField(blank=True)
    request_id = models.TextField(blank=True, help_text="Of the request that sent its message.")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=9, choices=Outcome.choices, blank=True, help_text="Empty while it runs.")
    message = models.TextField(blank=True)
    error = models.TextField(blank=True)
    error_fingerprint = models.CharField(max_length=16, blank=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "number"], name="one_attempt_per_number")]
        indexes: ClassVar = [models.Index(F("started_at"), name="attempt_running", condition=Q(ended_at=None))]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job_id}"


class SelectedJob(models.Model):
    """A job that a job of the staff, `action`, is to retry or cancel. Deleted in the transaction that does so."""

    action = models.ForeignKey(Job, models.CASCADE, related_name="selected_jobs", db_constraint=False, db_index=False)
    job = models.ForeignKey(Job, models.CASCADE, related_name="+", db_constraint=False, db_index=False)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["action", "job"], name="selected_once")]
        indexes: ClassVar = [models.Index(F("job"), name="selection_of_job")]

    def __str__(self) -> str:
        return f"{self.job_id} by {self.action_id}"


class RejectedRow(models.Model):
    job = models.ForeignKey(Job, models.CASCADE, related_name="rejected_rows")
    line = models.PositiveBigIntegerField()
    reason = models.TextField()
    cells: Any = models.JSONField()

    class Meta:
        indexes: ClassVar = [models.Index(F("job"), F("line"), name="rejected_row_of_job")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"
