"""The rounds of kill_import: an import of a file with bad rows and duplicates, killed by SIGKILL at a random moment.

Another worker ends it. Then every row of the table, every rejected row and every count must be those of a run that
nobody disturbed. In every other round the process that dies is the pool's child and its worker lives on.
"""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection

from devtools.processes import wait_until, worker
from mediaapp.models import CatalogueItem, Upload, User
from mediaapp.uploads.receive import store_upload
from workers import jobs
from workers.models import Job

ROWS, KEYS = 200_000, 150_000
LEASE = "2"  # seconds until a dead worker's job is free
ITEMS = """
    SELECT count(*), md5(string_agg(md5(concat_ws('|', external_id, title, price, stock)), '' ORDER BY external_id))
    FROM mediaapp_catalogueitem"""
REJECTED = """
    SELECT count(*), md5(string_agg(md5(concat_ws('|', line, reason, cells)), '' ORDER BY line))
    FROM workers_rejectedrow"""


def drill(rounds: int) -> int:
    """How many rounds ended as the undisturbed run. Prints a line for each, and the sum as JSON."""
    call_command("migrate", verbosity=0)
    owner, _ = User.objects.get_or_create(username="kill_import", email="kill_import@example.com")
    began = time.monotonic()
    with importing(owner) as job, worker("highmem", JOB_LEASE=LEASE):
        wait_until(lambda: is_done(job), "the undisturbed run")
        expected = outcome(job)
    whole = time.monotonic() - began
    print(f"undisturbed, {whole:.1f} s with its worker's start: {expected}", flush=True)
    same = in_the_middle = 0
    for number in range(1, rounds + 1):
        with importing(owner) as job:
            reached = killed(job, random.uniform(0, whole), pool_only=number % 2 == 0)
            found = outcome(job)
        same += found == expected
        in_the_middle += 0 < reached < ROWS
        print(f"{number}: killed after {reached} rows, {'the same' if found == expected else found}", flush=True)
    print(json.dumps({"rounds": rounds, "same": same, "in_the_middle": in_the_middle}))
    return same


def killed(job: Job, after: float, *, pool_only: bool) -> int:
    """Runs the job to its end through one death, `after` seconds from its worker's start; the rows it had by then."""
    with worker("highmem", JOB_LEASE=LEASE) as process:
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
    with worker("highmem", JOB_LEASE=LEASE):
        wait_until(lambda: is_done(job), "another worker to end it")
    return reached


@contextmanager
def importing(owner: User) -> Iterator[Job]:
    """A job with the file, in an empty table."""
    CatalogueItem.objects.all().delete()
    upload = store_upload(owner, ContentFile("".join(lines()).encode(), name="catalogue.csv"))
    try:
        yield upload.job
    finally:
        Upload.objects.filter(pk=upload.pk).delete()
        Job.objects.filter(pk=upload.pk).delete()


def lines() -> Iterator[str]:
    """Every key of the last quarter comes again with another title; one row in 997 is bad."""
    yield "external_id,title,price,stock\n"
    for row in range(ROWS):
        price = "dear" if row % 997 == 5 else f"{row % 500}.50"
        yield f"K-{row % KEYS},Title {row},{price},{row % 90}\n"


def is_done(job: Job) -> bool:
    """Does what beat would send every ten seconds."""
    jobs.sweep()
    return Job.objects.get(pk=job.pk).is_final


def outcome(job: Job) -> dict[str, object]:
    """All that must be the same. How many rows were written before the death is not."""
    job.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute(ITEMS)
        items = cursor.fetchone()
        cursor.execute(REJECTED)
        rejects = cursor.fetchone()
    counts = {name: value for name, value in job.result.items() if isinstance(value, int) and name != "rows_before"}
    return {"state": str(job.state), "items": items, "rejects": rejects} | counts
