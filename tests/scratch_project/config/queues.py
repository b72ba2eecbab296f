"""A shop's table: two workers, three queues, five tasks."""

from workers.queues import Queue, QueueKind, Table, Worker

TABLE = Table(
    workers=(
        Worker(
            "counter",
            concurrency=2,
            queues=(
                Queue(
                    "receipts",
                    kind=QueueKind.TIME_SENSITIVE,
                    target_seconds=10,
                    max_messages=1_000,
                    tasks=("shop.tasks.send_receipt",),
                ),
                Queue(
                    "chores",
                    target_seconds=60,
                    max_messages=1_000,
                    tasks=("shop.tasks.answer", "shop.tasks.collect", "shop.tasks.count_stock"),
                ),
            ),
        ),
        Worker(
            "warehouse",
            concurrency=1,
            queues=(
                Queue(
                    "parcels",
                    kind=QueueKind.HUNGRY,
                    target_seconds=600,
                    max_messages=1_000,
                    max_run_seconds=600,
                    serialize_by="shelf",
                    tasks=("shop.tasks.pack_parcel",),
                ),
            ),
        ),
    ),
    canary_task="shop.tasks.answer",
    telemetry_tasks=("shop.tasks.collect",),
    broker_tasks=("shop.tasks.collect",),
)
