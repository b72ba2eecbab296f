"""How long does an import hold its process, beside others in the same table? `make lab N=4`.

The site's engine imports four files in 1, 2 or 4 warm processes. The files of four owners have no common key. Those of
one owner have the same keys, each in an order of its own, as four versions of one price list. Each run has a new table.
"An import" is the time in its worker's slot. That for its turn does not count: on the site it then holds no process.
A deadlock ends after 0.1 s here, after 1 s by PostgreSQL's default.
"""

import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import mean
from threading import Event
from typing import Any

import django
from django.db import connection

from devtools.lab import Figure, Lab, Round
from labs.import_files import import_file, import_in_turn, import_without_lock, path_of, write_file
from mediaapp.models import CatalogueItem, User

FILES, TABLE = 4, CatalogueItem._meta.db_table
NEW_TABLE = f"TRUNCATE {TABLE}", f"VACUUM ANALYZE {TABLE}", "CHECKPOINT"
WAITS = """SELECT count(*) FILTER (WHERE wait_event IN ('transactionid', 'tuple', 'spectoken')), count(*)
    FROM pg_stat_activity WHERE application_name = 'lab' AND state <> 'idle'"""
ALONE = "no common key, one at a time"


@contextmanager
def prepare(sizes: Mapping[str, float]) -> Iterator[tuple[ProcessPoolExecutor, list[int]]]:
    """Files, owners, and processes that have imported before."""
    rows, chance = int(sizes["rows"]), random.Random(4)
    for number in range(FILES):
        write_file("apart", number, range(number * rows, (number + 1) * rows))
        write_file("same", number, chance.sample(range(rows), rows))
    owners = [User.objects.create(username=f"lab{n}", email=f"lab{n}@example.com").pk for n in range(FILES)]
    execute(f"ALTER TABLE {TABLE} SET (autovacuum_enabled = false)")
    with ProcessPoolExecutor(FILES, get_context("spawn"), initializer=django.setup) as processes:
        for kind in ("apart", "same"):
            list(processes.map(import_file, [path_of(kind, n) for n in range(FILES)], owners))
        yield processes, owners


def execute(*statements: str) -> Any:
    """The first row of the last one, if it has rows."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchone() if cursor.description else None


LAB = Lab(
    number=4,
    question="How long does an import hold its process, beside others in the same table?",
    shows=(
        "With the same keys, an import takes {same keys, four at once: an import} when four run at once, and all write "
        "{same keys, four at once: all}; in turn, {same keys, in turn: an import} and {same keys, in turn: all}. "
        f"Without a common key, two at once write {{no common key, two at once: all}}, one alone {{{ALONE}: all}}."
    ),
    seconds=80,
    figures=(
        Figure("an import", "s"),
        Figure("all", "rows/s", lower_is_better=False, digits=0),
        Figure("waiting for rows", "%", digits=0),
        Figure("deadlocks", "", digits=0),
    ),
    sizes={"rows": 30_000},
    short={"rows": 6_000},
    setup=prepare,
)


@LAB.wrong("same keys, four at once")
def side_by_side(lab: Round) -> dict[str, float]:
    """Four versions of one list, in four processes."""
    return measure(lab, "same", at_once=4, do_import=import_without_lock)


FILE_ORDER = LAB.wrong("same keys, four at once, in file order", in_chart=False)
FILE_ORDER(lambda lab: measure(lab, "same", 4, is_sorted=False))
LAB.right("same keys, in turn")(lambda lab: measure(lab, "same", 4, do_import=import_in_turn))
LAB.beside(ALONE, in_chart=False)(lambda lab: measure(lab, "apart", 1))
LAB.beside("no common key, two at once", in_chart=False)(lambda lab: measure(lab, "apart", 2))
LAB.beside("no common key, four at once", in_chart=False)(lambda lab: measure(lab, "apart", 4))


def measure(lab: Round, kind: str, at_once: int, **options: Any) -> dict[str, float]:
    processes, owners = lab.shared
    execute(*NEW_TABLE)

    def run(number: int) -> tuple[float, int]:
        owner, path = owners[number if kind == "apart" else 0], path_of(kind, number)
        seconds, deadlocks = processes.submit(import_file, path, owner, **options).result()
        return seconds, deadlocks

    over = Event()
    with ThreadPoolExecutor(at_once) as clients, ThreadPoolExecutor(1) as sampler:
        waits, began = sampler.submit(sample, over), time.monotonic()
        busy, deadlocks = zip(*clients.map(run, range(FILES)), strict=True)
        speed = FILES * lab.sizes["rows"] / (time.monotonic() - began)
        over.set()
    return {"an import": mean(busy), "all": speed, "waiting for rows": waits.result(), "deadlocks": sum(deadlocks)}


def sample(over: Event) -> float:
    """Which part of their transactions, in percent, imports wait for rows of others."""
    waiting = total = 0
    while not over.wait(0.02):
        now = execute(WAITS)
        waiting, total = waiting + now[0], total + now[1]
    connection.close()
    return 100 * waiting / max(total, 1)
