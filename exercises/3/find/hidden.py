from pathlib import Path

from workers.queues import QueueKind, table

RESET = "workers.default.tasks.send_password_reset"
HOUSEKEEPING = ("delete_files", "change_jobs", "delete_old", "roll_up_runs")


def worker_of(queue):
    return next(worker for worker in table().workers if worker.name == table().consumers[queue])


def test_no_reset_waits_behind_a_slow_task():
    """No task on the worker of the resets may run longer than a reset may wait."""
    urgent = table().queues[table().queue_of(RESET)]
    assert urgent.kind == QueueKind.TIME_SENSITIVE, "The queue of the resets is not time-sensitive any more."
    assert urgent.target_seconds <= 10, f"A reset may wait for {urgent.target_seconds} s: nobody wants that."
    slow = [queue.name for queue in worker_of(urgent.name).queues if queue.max_run_seconds > urgent.target_seconds]
    assert not slow, f"On the worker of the resets, a task of {', '.join(slow)} may run for longer than a reset waits."


def test_housekeeping_has_the_time_that_it_needs():
    """The slow housekeeping keeps its tasks and its minute, and no import waits for longer."""
    for name in HOUSEKEEPING:
        queue = table().queues[table().queue_of(f"workers.highmem.tasks.{name}")]
        assert queue.max_run_seconds >= 60, f"{name} gets {queue.max_run_seconds} s, and needs up to 60."
        beside = [other for other in worker_of(queue.name).queues if other.name == "imports"]
        late = [other.name for other in beside if queue.max_run_seconds > other.target_seconds]
        assert not late, f"An import waits behind {name} for longer than its target."


def test_each_file_starts_what_the_table_says():
    """The Procfile and docker-compose.yml let each worker consume the queues of the table."""
    for file in ("Procfile", "docker-compose.yml"):
        text = Path(file).read_text()
        for worker in table().workers:
            queues = ",".join(queue.name for queue in worker.queues)
            line = next((each for each in text.splitlines() if f"--hostname {worker.name}@%h" in each), "")
            assert f"--queues {queues} " in line, f"{file}: {worker.name} does not consume {queues}."
