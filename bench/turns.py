"""Imports on one and on two high-memory workers: of one owner, whose files go in order, and of two owners.

Real workers, which are ready before the first import is published. The time goes from the first start to the last end.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Max, Min

from bench.rows import Row
from devtools.processes import wait_until, worker
from mediaapp.models import CatalogueItem, User
from mediaapp.uploads.receive import store_upload
from workers.models import Job

FILES, ROWS, ROUNDS = 6, 150_000, 3


def measure(*, quick: bool) -> Iterator[Row]:
    rows, rounds = (100, 1) if quick else (ROWS, ROUNDS)
    owners = [User.objects.create_user(name, f"{name}@example.com") for name in ("first", "second")]
    seconds: dict[tuple[int, int], list[float]] = {}
    in_order = []
    for _ in range(rounds):
        for owner_count, worker_count in ((1, 1), (1, 2), (2, 1), (2, 2)):
            run_seconds, is_in_order = import_files(owners[:owner_count], worker_count, rows)
            seconds.setdefault((owner_count, worker_count), []).append(run_seconds)
            in_order.append(is_in_order)
    ratio, note = compare(seconds[1, 2], seconds[1, 1])
    note = f"{note}; {in_order.count(True)} of {len(in_order)} runs in order"
    yield Row(f"{FILES} imports of one owner, two workers / one", ratio, at_most=1.2, note=note)
    ratio, note = compare(seconds[2, 1], seconds[2, 2])
    yield Row(f"{FILES} imports of two owners, one worker / two", ratio, at_least=1.6, note=note)


def compare(these: list[float], others: list[float]) -> tuple[float, str]:
    """The median of the rounds' ratios: the runs of a round are neighbours, with the same work beside them."""
    ratio = median(this / other for this, other in zip(these, others, strict=True))
    return ratio, f"{median(these):.1f} s and {median(others):.1f} s, {len(these)} rounds"


def import_files(owners: list[User], worker_count: int, rows: int) -> tuple[float, bool]:
    """Seconds, and whether each owner's files were imported in the order of their upload."""
    Job.objects.all().delete()
    CatalogueItem.objects.all().delete()
    with ExitStack() as workers:
        for _ in range(worker_count):
            workers.enter_context(worker("highmem"))
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
