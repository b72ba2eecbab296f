"""What the job pages show to the staff alone: jobs without an upload or report, and the attempts of any job."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from mediaapp.models import User
from mediaapp.operations.job_timeline import timeline_of
from workers.models import Job

NAMES = {
    "workers.default.tasks.send_password_reset": "Mail of a password reset",
    "workers.highmem.tasks.delete_files": "Deletion of files",
}
CHANGE_TASK = "workers.highmem.tasks.change_jobs"
DONE_WORDS = {"retry": "retried", "cancel": "cancelled"}


@dataclass(frozen=True)
class StaffJob:
    """A mail, a deletion of files, a retry or cancel of many: it has the names that the pages of a job read."""

    kind: ClassVar[str] = "staff"
    job: Job

    @property
    def pk(self) -> UUID:
        return self.job.pk

    @property
    def owner(self) -> User | None:
        return self.job.owner

    @property
    def created_at(self) -> datetime:
        return self.job.created_at

    @property
    def name(self) -> str:
        if self.job.task == CHANGE_TASK:
            return f"{self.job.arguments['change'].capitalize()} {self.job.arguments.get('count', 0):,} jobs"
        return NAMES.get(self.job.task, self.job.task.rpartition(".")[2])

    @property
    def outcome(self) -> str:
        """A sentence on what a change of many jobs has done so far. Empty for other jobs."""
        if self.job.task != CHANGE_TASK:
            return ""
        done, count = self.job.result.get("changed", 0), self.job.arguments.get("count", 0)
        words = DONE_WORDS[self.job.arguments["change"]]
        if self.job.state != Job.State.DONE:
            return f"{done:,} of {count:,} were {words}."
        return f"{done:,} {words}" + (f", {count - done:,} had changed meanwhile." if done < count else ".")


def staff_context(job: Job) -> dict[str, Any]:
    attempts = list(job.attempts.order_by("number"))
    return {"attempts": attempts, "timeline": timeline_of(job, attempts), "running": running_number(job)}


def running_number(job: Job) -> int | None:
    """Any other attempt without an end was an older release's to end, and is lost."""
    return job.attempt if job.state == Job.State.RUNNING else None
