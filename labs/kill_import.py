"""Does a killed import end like an undisturbed one? `python -m labs kill_import [rounds]` (10 s a round).

SIGKILL comes at a random moment of an import with bad rows and duplicates, and another worker ends the import. Then
every row of the table, every rejected row and every count must be those of an undisturbed run. In every other round
SIGKILL goes to the pool's child alone, and its worker continues.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import connection

from devtools.processes import wait_until, worker
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.receive import store_upload
from workers import jobs
from workers.models import Job

ROWS, KEYS = 200_000, 150_000
LEASE = 2  # seconds until a dead worker's job is free
ITEMS = """
    SELECT count(*), md5(string_agg(md5(concat_ws('|', external_id, title, price, stock)), '' ORDER BY external_id))
    FROM mediaapp_catalogueitem"""
REJECTED = """
    SELECT count(*), md5(string_agg(md5(concat_ws('|', line, reason, cells)), '' ORDER BY line))
    FROM workers_rejectedrow"""


def main() -> int:
    """Print a line for each round, and the sums as JSON. Returns 1 if a round ended otherwise."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 50
    settings.JOB_LEASE = LEASE  # for the sweep, which this process does
    owner, _ = User.objects.get_or_create(username="kill_import", email="kill_import@example.com")
    began = time.monotonic()
    with import_job(owner) as job, worker("highmem", JOB_LEASE=str(LEASE)):
        wait_until(lambda: is_done(job), "the undisturbed run")
        expected = outcome(job)
    seconds_undisturbed = time.monotonic() - began
    print(f"undisturbed, {seconds_undisturbed:.1f} s with its worker's start: {expected}", flush=True)
    same = in_the_middle = 0
    for number in range(1, rounds + 1):
        with import_job(owner) as job:
            reached = run_killed(job, random.uniform(0, seconds_undisturbed), pool_only=number % 2 == 0)
            found = outcome(job)
        same += found == expected
        in_the_middle += 0 < reached < ROWS
        print(f"{number}: killed after {reached} rows, {'the same' if found == expected else found}", flush=True)
    print(json.dumps({"rounds": rounds, "same": same, "in_the_middle": in_the_middle}))
    return int(same < rounds)


def run_killed(job: Job, after: float, *, pool_only: bool) -> int:
    """Run the job to its end, with a SIGKILL after `after` seconds. Returns the number of its rows at that moment."""
    with worker("highmem", JOB_LEASE=str(LEASE)) as process:
        time.sleep(after)
        if pool_only:
            for child in psutil.Process(process.pid).children():
                child.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reached = int(Job.objects.get(pk=job.pk).result.get("rows", 0))
        if pool_only:
            wait_until(lambda: is_done(job), "the same worker to end it")
            return reached
    with worker("highmem", JOB_LEASE=str(LEASE)):
        wait_until(lambda: is_done(job), "another worker to end it")
    return reached


@contextmanager
def import_job(owner: User) -> Iterator[Job]:
    """A job that imports the file into an empty table."""
    CatalogueItem.objects.all().delete()
    upload = store_upload(owner, ContentFile("".join(csv_lines()).encode(), name="catalogue.csv"))
    try:
        yield upload.job
    finally:
        Upload.objects.filter(pk=upload.pk).delete()
        Job.objects.filter(pk=upload.pk).delete()


def csv_lines() -> Iterator[str]:
    """A CSV file: a quarter of the keys come twice, with different titles, and one row in 997 is bad."""
    yield "external_id,title,price,stock\n"
    for row in range(ROWS):
        price = "dear" if row % 997 == 5 else f"{row % 500}.50"
        yield f"K-{row % KEYS},Title {row},{price},{row % 90}\n"


def is_done(job: Job) -> bool:
    """Sweep, as beat would every ten seconds, and look at the row."""
    jobs.sweep()
    return Job.objects.get(pk=job.pk).is_final


def outcome(job: Job) -> dict[str, object]:
    """What must be equal. `rows_before`, the rows written before the kill, may differ."""
    job.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute(ITEMS)
        items = cursor.fetchone()
        cursor.execute(REJECTED)
        rejects = cursor.fetchone()
    counts = {name: value for name, value in job.result.items() if isinstance(value, int) and name != "rows_before"}
    return {"state": str(job.state), "items": items, "rejects": rejects} | counts
