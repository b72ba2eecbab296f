"""THE TABLE: which worker consumes which queues, and which tasks go into them.

A message takes about 2 KB of the broker's memory (docs/facts/servers.md#message-memory).
"""

from workers.queues import Queue, QueueKind, Table, Worker

TABLE = Table(
    workers=(
        Worker(
            "default",
            concurrency=4,
            queues=(
                Queue(
                    "urgent",
                    kind=QueueKind.TIME_SENSITIVE,
                    target_seconds=10,
                    max_messages=10_000,
                    tasks=("workers.default.tasks.send_password_reset",),
                ),
                Queue(
                    "default",
                    target_seconds=30,
                    max_messages=1_000,
                    tasks=(
                        "workers.default.tasks.sweep_jobs",
                        "workers.default.tasks.collect_runs",
                        "workers.default.tasks.answer_canary",
                        "workers.default.tasks.delete_files",  # until no older release publishes it
                    ),
                ),
            ),
        ),
        Worker(
            "video",
            concurrency=1,
            queues=(
                Queue(
                    "video",
                    target_seconds=600,
                    max_messages=10_000,
                    max_run_seconds=9060,
                    in_turns=True,
                    tasks=("workers.video.tasks.transcode_video",),
                ),
            ),
        ),
        Worker(
            "highmem",
            concurrency=1,
            queues=(
                Queue(
                    "imports",
                    kind=QueueKind.HUNGRY,
                    target_seconds=60,
                    max_messages=10_000,
                    max_run_seconds=3600,
                    in_turns=True,
                    serialize_by="table",
                    max_writers=2,  # measured on two cores (docs/4-concurrency.md)
                    tasks=("workers.highmem.tasks.import_catalogue",),
                ),
                Queue(
                    "highmem",
                    kind=QueueKind.HUNGRY,
                    target_seconds=600,
                    max_messages=10_000,
                    max_run_seconds=3600,
                    in_turns=True,
                    tasks=("workers.highmem.tasks.report_on_rows",),
                ),
                # No run is longer than an import waits (target_seconds of imports).
                Queue(
                    "maintenance",
                    target_seconds=7200,
                    max_messages=10_000,
                    max_run_seconds=60,
                    tasks=(
                        "workers.highmem.tasks.delete_files",
                        "workers.highmem.tasks.change_jobs",
                        "workers.highmem.tasks.delete_old",
                        "workers.highmem.tasks.roll_up_runs",
                    ),
                ),
            ),
        ),
    ),
    canary_task="workers.default.tasks.answer_canary",
    telemetry_tasks=("workers.default.tasks.collect_runs", "workers.highmem.tasks.roll_up_runs"),
    broker_tasks=("workers.default.tasks.sweep_jobs", "workers.default.tasks.collect_runs"),
    sweep_task="workers.default.tasks.sweep_jobs",
)
