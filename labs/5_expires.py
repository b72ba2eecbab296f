"""How many runs of a recurring entry begin too late, when its worker is free again? `make lab N=5`.

Beat sends the entry every 2 s. A long task occupies the only worker meanwhile, and two messages that do not expire are
before those of the entry in the queue. After four intervals the long task ends, the worker takes what waits, and beat
goes on until a run begins.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from celery import current_app
from django_celery_beat.models import PeriodicTask

from devtools import processes
from devtools.lab import Figure, Lab, Round
from devtools.processes import wait_until
from labs.recurring_names import INTERVAL_SECONDS, NIGHTLY, OCCUPY
from workers.brokers.connection import count_ready
from workers.practices import broker

APP = "labs.recurring_app"


@contextmanager
def one_worker(_: Mapping[str, float]) -> Iterator[Path]:
    """Yields the ledger of what is sent and run."""
    broker.prepare_queues()
    options = "--queues=default", "--concurrency=1", "--without-gossip", "--without-mingle"
    with TemporaryDirectory() as folder:
        ledger = Path(folder, "ledger")
        with processes.celery("worker", *options, app=APP, LEDGER=str(ledger), TASK_SECONDS="0.1"):
            yield ledger


LAB = Lab(
    number=5,
    question="How many runs of a recurring entry begin too late, when its worker is free again?",
    shows=(
        "Without an expiry {no expiry in the database: began late} of {no expiry in the database: ran} runs begin "
        "after the next one was due. With an expiry {an expiry: began late} do: the {an expiry: waiting at once} "
        "messages wait, and all but {an expiry: ran} are dropped. The site's schedule sends none while one waits, so "
        "{the site's schedule: waiting at once} waits, and a run begins {the site's schedule: first run after} after "
        "the worker is free."
    ),
    seconds=90,
    figures=(
        Figure("began late", "", digits=0),
        Figure("waiting at once", "", digits=0),
        Figure("ran", "", lower_is_better=False, digits=0),
        Figure("first run after", "s", digits=1),
    ),
    sizes={"intervals": 4},
    short={"intervals": 2},
    setup=one_worker,
)


def measure(way: str, lab: Round) -> dict[str, float]:
    """way: that of the entry, in labs/recurring_app.py."""
    ledger: Path = lab.shared
    ledger.write_text("")
    over = ledger.with_name(f"{way} {lab.number}")
    current_app.send_task(OCCUPY, [str(over)], queue="default")
    for _ in range(2):
        current_app.send_task(NIGHTLY, queue="default")
    wait_until(lambda: "occupied" in ledger.read_text(), "the worker to be busy")
    with processes.celery("beat", "--pidfile=", app=APP, WAY=way, LEDGER=str(ledger)) as beat:
        before = count_ready("default")
        wait_until(lambda: count_due(ledger) >= lab.sizes["intervals"], "the last interval")
        waiting = count_ready("default") - before
        free_at = time.time()
        over.touch()
        wait_until(lambda: "begun" in ledger.read_text(), "the first run of the free worker")
        processes.stop(beat)
    current_app.send_task(NIGHTLY, queue="default")
    wait_until(lambda: ledger.read_text().count("nightly") == 3, "the end of what waits")
    PeriodicTask.objects.all().delete()
    return {"waiting at once": waiting} | count_runs(ledger, free_at)


def count_due(ledger: Path) -> int:
    """How often beat has sent the entry or skipped it."""
    text = ledger.read_text()
    return text.count("sent") + text.count("skipped")


def count_runs(ledger: Path, free_at: float) -> dict[str, float]:
    events = [line.split() for line in ledger.read_text().splitlines()]
    sent, begun = ({run: float(at) for event, run, at in events if event == name} for name in ("sent", "begun"))
    late = sum(begun[run] - sent[run] > INTERVAL_SECONDS for run in begun)
    return {"began late": late, "ran": len(begun), "first run after": min(begun.values()) - free_at}


LAB.wrong("no expiry in the database")(partial(measure, "never"))
LAB.right("an expiry")(partial(measure, "expires"))
LAB.beside("the site's schedule")(partial(measure, "waits"))
