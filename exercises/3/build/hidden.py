from pathlib import Path

from celery import Task, current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth import get_user_model

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


class Broker:
    """Stands for it: keeps the messages, and each publish takes 5 ms of the run's time."""

    def __init__(self):
        self.messages, self.seconds, self.limit = [], 0.0, None

    def publish(self, task, args, kwargs):
        self.seconds += 0.005
        if self.limit and self.seconds > self.limit:
            raise SoftTimeLimitExceeded
        self.messages.append((task.name.rpartition(".")[2], tuple(args or ()), kwargs or {}))

    def run(self, task, *args, **kwargs):
        self.seconds, self.limit = 0.0, task.soft_time_limit or current_app.conf.task_soft_time_limit
        task.run(*args, **kwargs)


def test_announce_gets_to_its_last_reader(db, monkeypatch):
    """A publish takes 5 ms. Each of 9,000 users gets a message, and no run of announce exceeds its time limit."""
    users, broker = get_user_model().objects, Broker()
    added = users.bulk_create(
        users.model(username=f"reader-{number}", email=f"{number}@example.com") for number in range(9_000)
    )
    monkeypatch.setattr(
        Task, "apply_async", lambda task, args=None, kwargs=None, **options: broker.publish(task, args, kwargs)
    )
    announce = next(task for name, task in load_tasks().items() if name.endswith(".announce"))
    broker.messages.append(("announce", ("A subject", "A text"), {}))
    sent, has_met_limit = set(), False
    while broker.messages:
        name, args, kwargs = broker.messages.pop()
        if name != "announce":
            sent |= {each for each in (*args, *kwargs.values()) if isinstance(each, int)}
            continue
        try:
            broker.run(announce, *args, **kwargs)
        except SoftTimeLimitExceeded:
            has_met_limit = True
    missing = len({user.pk for user in added} - sent)
    fate = "It met its time limit, and" if has_met_limit else "It ended, and"
    assert not missing, f"{fate} {missing:,} of 9,000 users get none."
    assert not has_met_limit, "Each user has a message, and a run met its time limit."
