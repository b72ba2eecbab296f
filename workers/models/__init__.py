"""What the workers keep in the database. Nothing here knows Celery, the cache or the site."""

from workers.models.jobs import LAST_CHANGE, Job, JobAttempt, RejectedRow, SelectedJob
from workers.models.operations import AlarmMessage, Deploy, FindingSample, Incident, Pause, PracticeState
from workers.models.telemetry import QueueHour, QueueSample, TaskHour, TaskRun, TaskTotal

__all__ = [
    "LAST_CHANGE",
    "AlarmMessage",
    "Deploy",
    "FindingSample",
    "Incident",
    "Job",
    "JobAttempt",
    "Pause",
    "PracticeState",
    "QueueHour",
    "QueueSample",
    "RejectedRow",
    "SelectedJob",
    "TaskHour",
    "TaskRun",
    "TaskTotal",
]
