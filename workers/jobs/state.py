"""What a poll of a job answers."""

from typing import Any

from workers.jobs import user_messages
from workers.models import Job
from workers.practices import progress


def state_of(job: Job) -> dict[str, Any]:
    """The JSON of `/jobs/<uuid>/progress.json`."""
    if job.state == Job.State.RUNNING and (report := progress.read_last(job.id)):
        return running_state(report)
    is_queued, done = job.state == Job.State.QUEUED, int(job.state == Job.State.DONE)
    return {
        "state": job.state,
        "done": done,
        "total": done,
        "stage": user_messages.STARTING if job.is_active else "",
        "message": job.message,
        "eta_seconds": None,
        "queue_position": position(job) if is_queued else None,
        "result": job.result,
    }


def running_state(report: dict[str, Any]) -> dict[str, Any]:
    """The answer of state_of(), from a report and without SQL."""
    unset: dict[str, Any] = {"state": Job.State.RUNNING.value, "message": "", "queue_position": None, "result": {}}
    copied = ("done", "total", "stage", "eta_seconds", "rate", "updated_at", "figures")
    state = unset | {key: report.get(key) for key in copied}
    silence = progress.silent_seconds(report)
    if silence > progress.STALE_AFTER:
        state |= {"message": user_messages.NO_SIGN_OF_LIFE.format(silence), "eta_seconds": None, "rate": None}
    return state


def position(job: Job) -> int:
    """1 for the next job of its queue."""
    ahead = Job.objects.filter(state=Job.State.QUEUED, queue=job.queue, queued_at__lt=job.queued_at)
    return ahead.count() + 1
