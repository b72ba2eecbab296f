"""A task that a release makes three times slower, and the day before that release: for labs/7_timing.py.

Each worker imports this module. The day is one of real runs on a real worker, recorded as the site records all runs.
They take half a minute, so each round deals them to 24 hours of the past, by chance, and the site rolls these up.
"""

import logging
import os
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import shared_task
from celery.signals import worker_before_create_process
from django.utils import timezone

from devtools import processes
from workers.models import TaskHour, TaskRun
from workers.telemetry import rollups

HOURS = 24  # as much as the site wants before it compares
QUEUES, PROCESSES = {"old": "default", "new": "video"}, {"old": 16, "new": 6}  # by release: both run from the start
FILM_SECONDS = 2
CALLS = int(os.environ.get("CALLS", "1"))


@shared_task
def fetch_price(answer_seconds: float) -> None:
    """The supplier takes so long for an answer. The new release asks for each of three sizes."""
    for _ in range(CALLS):
        time.sleep(answer_seconds)


@shared_task
def convert_film() -> None:
    """A longer task, on which nothing changes."""
    time.sleep(FILM_SECONDS)


@worker_before_create_process.connect
def log_as_celery_does(**_: object) -> None:
    """The site hides Celery's lines "succeeded in": it writes better ones."""
    logging.getLogger("celery.app.trace").setLevel(logging.INFO)


@dataclass
class Day:
    """log: of the new release's worker, which began with it. hours: the ids of the runs of each."""

    log: Path
    hours: list[list[int]] = field(default_factory=list)

    def deal(self, chance: random.Random) -> None:
        """Each hour gets as many runs of each task, but others in each round."""
        ids: list[int] = []
        for task in (fetch_price.name, convert_film.name):
            of_task = list(TaskRun.objects.filter(task=task, release="old").order_by("pk").values_list("pk", flat=True))
            ids += chance.sample(of_task, len(of_task))
        self.hours = [ids[number::HOURS] for number in range(HOURS)]
        for number, runs in enumerate(self.hours):
            TaskRun.objects.filter(pk__in=runs).update(ended_at=_moment(number))
        TaskHour.objects.all().delete()
        rollups.roll_up_hours()

    @contextmanager
    def as_last_hour(self, number: int) -> Iterator[None]:
        runs = TaskRun.objects.filter(pk__in=self.hours[number])
        runs.update(ended_at=timezone.now())
        yield
        runs.update(ended_at=_moment(number))


@contextmanager
def recorded_day(sizes: Mapping[str, float]) -> Iterator[Day]:
    with TemporaryDirectory() as folder:
        log, chance = Path(folder, "log"), random.Random(7)
        with _worker("old", Path(folder, "old"), CALLS="1"), _worker("new", log, CALLS="3"):
            for _ in range(int(HOURS * sizes["films an hour"])):
                convert_film.apply_async(queue=QUEUES["old"])
            fetch("old", int(HOURS * sizes["runs an hour"]), chance)
            wait_for_runs("old", int(HOURS * (sizes["runs an hour"] + sizes["films an hour"])))
            yield Day(log)


def _worker(release: str, log: Path, **variables: str) -> AbstractContextManager[processes.Process]:
    queue, count = f"--queues={QUEUES[release]}", f"--concurrency={PROCESSES[release]}"
    options = f"--hostname={release}@%h", queue, count, f"--include={__name__}"
    variables |= {"RELEASE": release, "LOG_LEVEL": "INFO"}
    return processes.celery("worker", *options, app="config", log=log, **variables)


def fetch(release: str, count: int, chance: random.Random) -> None:
    """The supplier answers after 0.1 s, and one time in 25 after 0.3 s."""
    for _ in range(count):
        fetch_price.apply_async([0.3 if chance.random() < 0.04 else 0.1], queue=QUEUES[release])


def wait_for_runs(release: str, count: int) -> None:
    """Until they are recorded. It collects them, as beat's task does."""

    def are_recorded() -> bool:
        rollups.collect_runs()
        return TaskRun.objects.filter(release=release).count() == count

    processes.wait_until(are_recorded, "the runs")


def _moment(number: int) -> datetime:
    """In the middle of an hour. The last two are left out, as the site's comparison does."""
    return timezone.now().replace(minute=30) - timedelta(hours=number + 3)
