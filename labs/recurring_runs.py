"""Is each run of a recurring entry counted? `python -m labs [--rabbitmq] recurring_runs [seconds] [way ...]`.

Every 2 s beat sends a task that takes 5 s and a lock. A message that expires after an hour is before it in the queue.
No worker runs in the first third of the time, one in the second, two in the last. The ways:
  never    the entry has no expiry in the database
  expires  it has one, and beat sends it whether or not its last message waits
  waits    as the site does it
Printed: how many of its messages waited at once, and the outcomes of the runs that were due, beside the outcomes that
the site's telemetry counts. Exit code 1 if two waited in the last way, or if a count is wrong.
"""

import json
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

from celery import current_app
from django_celery_beat.models import PeriodicTask

from devtools import processes
from devtools.processes import wait_until
from labs.recurring_names import NAME, NIGHTLY, TASK, WAYS
from workers.brokers import BrokerUnavailableError
from workers.brokers.connection import count_ready
from workers.models import TaskRun
from workers.practices import broker
from workers.runtime import pending_guard
from workers.telemetry import dead_letters, rollups
from workers.telemetry.recurring_entries import recurring_entries

HEADER = "way      at once    due =  ran + refused + expired   counted right"
TABLE_LINE = "{way:<8}{waited:>8}{due:>7}{ran:>7}{refused:>10}{expired:>10}   {is_right}"
BEAT = ("beat", "--pidfile=")
WORKER = ("worker", "--queues=default", "--concurrency=1", "--without-gossip", "--without-mingle")


@dataclass
class Outcomes:
    """due = ran + refused + expired. expired: dropped by a worker or by RabbitMQ, or never sent."""

    way: str
    waited: int  # messages of the entry, at once
    due: int
    ran: int
    refused: int
    expired: int
    counted: dict[str, int]  # by outcome, in the rows of TaskRun
    shown: tuple[int, int]  # expired and refused, by recurring_entries()

    @property
    def is_right(self) -> bool:
        """Whether telemetry counts every run that was due once, with its outcome."""
        wanted = {"succeeded": self.ran, "refused": self.refused, "expired": self.expired}
        return self.counted == {name: count for name, count in wanted.items() if count} and self.shown == (
            self.expired,
            self.refused,
        )


class Watch(threading.Thread):
    """Counts the entry's waiting messages ten times a second. maximum: the most at once."""

    def __init__(self, ledger: Path) -> None:
        super().__init__(daemon=True)
        self.ledger, self.maximum, self.over = ledger, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            with suppress(BrokerUnavailableError):
                self.maximum = max(self.maximum, count_waiting(self.ledger))


def count_waiting(ledger: Path) -> int:
    return count_ready("default") - ("nightly" not in ledger.read_text())


def run(way: str, seconds: float, ledger: Path) -> int:
    """Run beat and the workers, then wait until the queue is empty. Returns how many messages waited at most."""
    ledger.touch()
    current_app.send_task(NIGHTLY, queue="default", expires=3600)
    with ExitStack() as stack:

        def start(*command: str) -> Popen[bytes]:
            return stack.enter_context(
                processes.celery(*command, app="labs.recurring_app", WAY=way, LEDGER=str(ledger))
            )

        beat, watch, workers = start(*BEAT), Watch(ledger), []
        watch.start()
        time.sleep(seconds / 3)
        for name in ("one", "two"):
            workers.append(start(*WORKER, f"--hostname={name}@%h"))
            time.sleep(seconds / 3)
        processes.stop(beat)
        wait_until(lambda: count_waiting(ledger) == 0 and not has_running(ledger), "the end of the last run")
        for worker in workers:
            processes.stop(worker)
        watch.over.set()
        watch.join()
    return watch.maximum


def has_running(ledger: Path) -> bool:
    lines = Counter(line.split()[0] for line in ledger.read_text().splitlines())
    return lines["begun"] > lines["ran"]


def compare(way: str, waited: int, ledger: Path) -> Outcomes:
    """The outcomes of the runs: by the ledger of the tasks and of beat, and by the site's telemetry."""
    lines = [line.split() for line in ledger.read_text().splitlines()]
    ended = Counter(run for event, run, _ in lines if event in ("ran", "refused"))
    due = PeriodicTask.objects.get(name=NAME).total_run_count
    events = Counter(event for event, *_ in lines)
    dead_letters.collect_dead_letters(on_letter=pending_guard.clear_marks)
    rollups.collect_runs()
    runs = TaskRun.objects.filter(task=TASK)
    counted = Counter(runs.values_list("outcome", flat=True))
    (state,) = recurring_entries()
    return Outcomes(
        way=way,
        waited=waited,
        due=due,
        ran=events["ran"],
        refused=events["refused"],
        expired=due - len(ended),
        counted=dict(counted),
        shown=(state.expired, state.refused),
    )


def delete_entry() -> None:
    PeriodicTask.objects.all().delete()
    TaskRun.objects.filter(task=TASK).delete()


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    all_found = []
    broker.prepare_queues()
    with TemporaryDirectory() as folder:
        for way in sys.argv[2:] or WAYS:
            ledger = Path(folder, f"{way}.ledger")
            all_found.append(found := compare(way, run(way, seconds, ledger), ledger))
            print(json.dumps(asdict(found) | {"is_right": found.is_right}), flush=True)
            delete_entry()
    print(HEADER)
    for found in all_found:
        print(TABLE_LINE.format(**asdict(found), is_right="yes" if found.is_right else "NO"))
    return int(not all(found.is_right and (found.way != WAYS[-1] or found.waited <= 1) for found in all_found))
