"""The pages of the staff. Other programs use these URLs, so they do not change."""

from django.urls import path

from mediaapp.views.operations import (
    capacity,
    job_changes,
    jobs,
    log,
    overview,
    pauses,
    queues,
    runbooks,
    tasks,
    workers,
)

urlpatterns = [
    path("", overview.show_overview, name="operations"),
    path("live/", overview.show_live_part, name="operations_live"),
    path("capacity/", capacity.show_capacity, name="operations_capacity"),
    path("jobs/", jobs.show_jobs, name="operations_jobs"),
    path("jobs/change/", job_changes.change_jobs, name="change_jobs"),
    path("log/", log.show_log, name="operations_log"),
    path("queues/<str:name>/", queues.show_queue, name="operations_queue"),
    path("queues/<str:name>/live/", queues.show_live_part, name="operations_queue_live"),
    path("queues/<name>/pause/", pauses.pause_queue, name="pause_queue"),
    path("queues/<name>/resume/", pauses.resume_queue, name="resume_queue"),
    path("entries/<int:entry_id>/pause/", pauses.pause_entry, name="pause_entry"),
    path("entries/<int:entry_id>/resume/", pauses.resume_entry, name="resume_entry"),
    path("entries/<int:entry_id>/run/", pauses.run_entry, name="run_entry"),
    path("tasks/", tasks.show_tasks, name="operations_tasks"),
    path("tasks/<str:name>/", tasks.show_task, name="operations_task"),
    path("workers/", workers.show_workers, name="operations_workers"),
    path("workers/live/", workers.show_live_part, name="operations_workers_live"),
    path("runbooks/", runbooks.show_runbooks, name="runbooks"),
    path("runbooks/<slug:slug>/", runbooks.show_runbook, name="runbook"),
]
