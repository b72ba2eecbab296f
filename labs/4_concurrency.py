"""Are imports into one table faster side by side? `python -m labs 4 [rows a file]` (a minute).

The site's engine imports four files in 1, 2 and 4 processes at once: of four owners, of one, and of one whose files
have the same keys in different orders. Wrong: no lock. Right: concurrency.one_writer with two writers; an import that
finds no place tries again after 0.05 s here, and when its turn comes in a real job. Printed: rows a second in all,
deadlocks, and which shares of their time the imports waited for row locks (lock), inside PostgreSQL (inside) and for
the disk. It teaches to measure before adding workers, and what the limits cost and save.
"""

import csv
import json
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import django
from django.conf import settings
from django.db import OperationalError, connection

from mediaapp.models import CatalogueItem, User
from workers.csvimport.run import CsvImport
from workers.csvimport.target_table import TargetTable
from workers.practices import concurrency, locks
from workers.queues import table

FILES = 4
AT_ONCE = (1, 2, 4)
HEADER = ["external_id", "title", "creator", "category", "released_on", "price", "stock"]
TABLE = CatalogueItem._meta.db_table
SAMPLE_SECONDS = 0.02
MAX_WRITERS = table().queues["imports"].max_writers
WAITS = {"lock": "Lock", "inside": "LWLock", "disk": "IO"}  # as pg_stat_activity calls them
WAIT_EVENTS = """
    SELECT wait_event_type FROM pg_stat_activity
    WHERE application_name = 'lab' AND state IN ('active', 'idle in transaction')"""


class Case(NamedTuple):
    """files: their names begin so."""

    name: str
    owners: int
    files: str


CASES = (
    Case("four owners", FILES, "apart"),
    Case("one owner", 1, "apart"),
    Case("one owner, same keys", 1, "same"),
)


class Import(NamedTuple):
    path: Path
    owner_id: int
    is_limited: bool


def write_files(rows: int) -> None:
    """Write `apart<n>.csv` without common keys, and `same<n>.csv` with the same keys in random orders."""
    chance = random.Random(4)
    for number in range(FILES):
        write("apart", number, range(number * rows, (number + 1) * rows))
        write("same", number, chance.sample(range(rows), rows))


def write(files: str, number: int, keys: Any) -> None:
    with path_of(files, number).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(
            [f"A{key:08}", f"Title {key}", f"Creator {key % 997}", "Book", "1999-12-31", f"{number}.50", key % 50]
            for key in keys
        )


def path_of(files: str, number: int) -> Path:
    return Path(settings.LOCAL_DIR, f"{files}{number}.csv")


def do_import(what: Import) -> int:
    """Import a file, and resume from the checkpoint after a deadlock. Returns the number of its deadlocks."""
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'lab'")
    saved: dict[str, Any] = {}
    deadlocks = 0
    while True:
        limit = concurrency.one_writer("labs", what.owner_id, MAX_WRITERS) if what.is_limited else nullcontext()
        try:
            with limit, what.path.open("rb") as source:
                CsvImport(
                    source=source,
                    table=TargetTable(CatalogueItem, fixed={"owner_id": what.owner_id}),
                    checkpoint=saved,
                    save=lambda checkpoint, _: saved.update(checkpoint),
                    reject=lambda _: None,
                    report=lambda *_, **__: None,
                ).run()
            return deadlocks
        except locks.Busy:
            time.sleep(0.05)
        except OperationalError as error:
            if "deadlock" not in str(error):
                raise
            deadlocks += 1


def run(processes: ProcessPoolExecutor, imports: list[Import], at_once: int) -> tuple[float, int, Counter[str]]:
    """Run the imports into an empty table. Returns the seconds, the deadlocks, and the samples of wait events."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
    over = Event()
    with ThreadPoolExecutor(at_once) as clients, ThreadPoolExecutor(1) as sampler:
        seen, began = sampler.submit(sample, over), time.monotonic()
        deadlocks = sum(clients.map(lambda each: processes.submit(do_import, each).result(), imports))
        seconds = time.monotonic() - began
        over.set()
        return seconds, deadlocks, seen.result()


def sample(over: Event) -> Counter[str]:
    """The wait event of each running import at each sample; "" for one that does not wait."""
    seen: Counter[str] = Counter()
    with connection.cursor() as cursor:
        while not over.wait(SAMPLE_SECONDS):
            cursor.execute(WAIT_EVENTS)
            seen.update(event or "" for (event,) in cursor.fetchall())
    connection.close()
    return seen


def main() -> None:
    rows = int(sys.argv[1]) if sys.argv[1:] else 30_000
    write_files(rows)
    owners = [User.objects.create(username=f"lab{n}", email=f"lab{n}@example.com").pk for n in range(FILES)]
    found = []
    columns = f"{'at once':>12}{'rows/s':>10}{'lock':>8}{'inside':>8}{'disk':>8}{'deadlocks':>11}"
    print(f"{f'{FILES} files of {rows:,} rows':<32}{columns}")
    with ProcessPoolExecutor(max(AT_ONCE), get_context("spawn"), initializer=django.setup) as processes:
        list(processes.map(time.sleep, [0.5] * max(AT_ONCE)))  # until all have started
        for case, is_limited, at_once in product(CASES, (False, True), AT_ONCE):
            files = [path_of(case.files, number) for number in range(FILES)]
            imports = [Import(file, owners[n % case.owners], is_limited) for n, file in enumerate(files)]
            seconds, deadlocks, seen = run(processes, imports, at_once)
            speed, name = round(FILES * rows / seconds), f"{'right' if is_limited else 'wrong'}: {case.name}"
            shares = {wait: round(seen[event] / max(seen.total(), 1), 3) for wait, event in WAITS.items()}
            waits = "".join(f"{share:>8.0%}" for share in shares.values())
            print(f"{name:<32}{at_once:>12}{speed:>10,}{waits}{deadlocks:>11}", flush=True)
            found.append({"case": name, "at_once": at_once, "rows/s": speed, "deadlocks": deadlocks, **shares})
    print(json.dumps(found))
