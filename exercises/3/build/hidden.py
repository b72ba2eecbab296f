from pathlib import Path

from workers.queues import QueueKind, load_tasks, table

NAMES = ("announce", "send_announcement")
RESET = "workers.default.tasks.send_password_reset"


def queues_of(name):
    return [queue for queue in table().queues.values() for task in queue.tasks if task.endswith(f".{name}")]


def test_announcements_have_a_queue_of_their_own():
    """Both tasks are in a queue that no other task uses."""
    found = {queue.name for name in NAMES for queue in queues_of(name)}
    assert found, "The table does not name the tasks any more."
    others = [task for name in found for task in table().queues[name].tasks if not task.endswith(NAMES)]
    assert not others, f"{', '.join(sorted(found))} has other tasks too: {', '.join(others)}."


def test_no_reset_waits_for_them():
    """The worker that sends them has no time-sensitive queue."""
    for name in NAMES:
        for queue in queues_of(name):
            worker = next(each for each in table().workers if each.name == table().consumers[queue.name])
            assert not worker.is_time_sensitive, f"{name} runs on {worker.name}, whose processes send the resets."
    reset = table().queues[table().queue_of(RESET)]
    assert reset.kind == QueueKind.TIME_SENSITIVE, "The resets have lost their time-sensitive queue."


def test_all_of_them_fit():
    """The queue takes a message for each of nine thousand users."""
    for name in NAMES:
        for queue in queues_of(name):
            assert isinstance(queue.max_messages, int), f"{queue.name} has no limit of messages."
            assert queue.max_messages >= 10_000, f"{queue.name} takes {queue.max_messages} messages, and 9,000 come."


def test_somebody_consumes_them():
    """Each task has code, and each file that starts processes knows its queue."""
    for name in NAMES:
        assert any(task.endswith(f".{name}") for task in load_tasks()), f"There is no code of {name}."
        for queue in queues_of(name):
            for file in ("Procfile", "docker-compose.yml"):
                named = {
                    each for line in Path(file).read_text().splitlines() for each in line.replace(",", " ").split()
                }
                assert queue.name in named, f"{file} does not know the queue {queue.name}."
