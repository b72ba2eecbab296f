"""Imports on one and on two high-memory workers: of one owner, whose files go in order, and of two owners.

Real workers, which are ready before the first import is published. The time goes from the first start to the last end.
One import and its database keep more than one processor busy, so on two processors a second worker has little left to
give. To see what the turns themselves cost, one worker and PostgreSQL are also pinned to one processor, and two workers
have two: a processor for each import.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Max, Min

from bench.pinning import pin_to_last_processor
from bench.rows import Row
from devtools.processes import wait_until, worker
from devtools.servers import Server
from mediaapp.models import CatalogueItem, User
from mediaapp.uploads.receive import store_upload
from workers.models import Job

FILES, ROWS, ROUNDS = 6, 150_000, 3
ENOUGH_PROCESSORS = 4  # for two imports at once, with what their queries take in PostgreSQL


@dataclass(frozen=True)
class Case:
    owners: int
    workers: int
    is_pinned: bool = False  # to one processor, with PostgreSQL


ONE_OWNER, ONE_OWNER_TWO_WORKERS = Case(1, 1), Case(1, 2)
TWO_OWNERS, TWO_OWNERS_TWO_WORKERS, PINNED = Case(2, 1), Case(2, 2), Case(2, 1, is_pinned=True)
CASES = (ONE_OWNER, ONE_OWNER_TWO_WORKERS, TWO_OWNERS, TWO_OWNERS_TWO_WORKERS, PINNED)


def measure(*, quick: bool) -> Iterator[Row]:
    rows, rounds = (100, 1) if quick else (ROWS, ROUNDS)
    owners = [User.objects.create_user(name, f"{name}@example.com") for name in ("first", "second")]
    seconds: dict[Case, list[float]] = {case: [] for case in CASES}
    in_order = []
    for _ in range(rounds):
        for case in CASES:
            run_seconds, is_in_order = import_files(owners[: case.owners], case, rows)
            seconds[case].append(run_seconds)
            in_order.append(is_in_order)
    ratio, note = compare(seconds[ONE_OWNER_TWO_WORKERS], seconds[ONE_OWNER])
    note = f"{note}; {in_order.count(True)} of {len(in_order)} runs in order"
    yield Row(f"{FILES} imports of one owner, two workers / one", ratio, at_most=1.2, note=note)
    ratio, note = compare(seconds[TWO_OWNERS], seconds[TWO_OWNERS_TWO_WORKERS])
    at_least = 1.6 if len(os.sched_getaffinity(0)) >= ENOUGH_PROCESSORS else None
    yield Row(f"{FILES} imports of two owners, one worker / two", ratio, at_least=at_least, note=note)
    ratio, note = compare(seconds[PINNED], seconds[TWO_OWNERS_TWO_WORKERS])
    yield Row("the same, a processor for each worker and its queries", ratio, at_least=1.6, note=note)


def compare(these: list[float], others: list[float]) -> tuple[float, str]:
    """The median of the rounds' ratios: the runs of a round are neighbours, with the same work beside them."""
    ratio = median(this / other for this, other in zip(these, others, strict=True))
    return ratio, f"{median(these):.1f} s and {median(others):.1f} s, {len(these)} rounds"


def import_files(owners: list[User], case: Case, rows: int) -> tuple[float, bool]:
    """Seconds, and whether each owner's files were imported in the order of their upload."""
    Job.objects.all().delete()
    CatalogueItem.objects.all().delete()
    with ExitStack() as stack:
        pids = [stack.enter_context(worker("highmem")).pid for _ in range(case.workers)]
        if case.is_pinned:
            servers = [server.process.pid for server in Server.running]
            pin_to_last_processor(pids + servers)
            stack.callback(pin_to_last_processor, servers, is_pinned=False)
        uploads = [store_upload(owners[number % len(owners)], csv_file(number, rows)).pk for number in range(FILES)]
        wait_until(lambda: Job.objects.filter(state=Job.State.DONE).count() == FILES, "the imports", seconds=600)
    span = Job.objects.aggregate(began=Min("started_at"), ended=Max("finished_at"))
    started = list(Job.objects.order_by("started_at").values_list("pk", "owner"))
    is_in_order = all(
        [pk for pk, owner_id in started if owner_id == owner.pk] == uploads[index :: len(owners)]
        for index, owner in enumerate(owners)
    )
    return (span["ended"] - span["began"]).total_seconds(), is_in_order


def csv_file(number: int, rows: int) -> SimpleUploadedFile:
    lines = (f"{number}-{row},Title {row},Creator {row % 997},{row % 500}.50,{row % 90}\n" for row in range(rows))
    text = "external_id,title,creator,price,stock\n" + "".join(lines)
    return SimpleUploadedFile(f"{number}.csv", text.encode())
