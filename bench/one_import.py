"""`python -m bench.one_import FILE OWNER` runs one import job in a fresh process and prints its figures as JSON.

It calls the task itself, with its lock, claim, checkpoints and progress. FILE is a name in MEDIA_ROOT.
"""

import json
import resource
import sys
import time

from django.utils import timezone

import bench.wsgi  # noqa: F401 - sets Django up
from workers.highmem.tasks import import_catalogue
from workers.models import Job

COUNTS = ("created", "updated", "unchanged", "rejected")


def main(source: str, owner_id: int) -> None:
    arguments = {"source": source, "table": "mediaapp.CatalogueItem"}
    job = Job.objects.create(
        task=import_catalogue.name, queue="imports", owner_id=owner_id, arguments=arguments, queued_at=timezone.now()
    )
    began, cpu = time.monotonic(), time.process_time()
    import_catalogue(str(job.pk))
    times = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
    job.refresh_from_db()
    if job.state != Job.State.DONE:
        raise AssertionError(job.detail)
    print(json.dumps(times | {name: job.result[name] for name in COUNTS} | {"rss_mb": peak_rss_mb()}))
    job.delete()


def peak_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
