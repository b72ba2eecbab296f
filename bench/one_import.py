"""`python -m bench.one_import FILE OWNER`: an import in a process of its own, as a fresh worker has it; its figures."""

import json
import resource
import sys
import time
from pathlib import Path

import bench.wsgi  # noqa: F401 - sets Django up
from mediaapp.models import CatalogueItem
from workers.highmem.csv_import import Table, import_csv


def main(path: Path, owner_id: int) -> None:
    began, cpu = time.monotonic(), time.process_time()
    with path.open("rb") as source:
        result = import_csv(
            source,
            table=Table(CatalogueItem, fixed={"owner_id": owner_id}),
            checkpoint={},
            save=lambda checkpoint, result: None,
            reject=lambda rows: None,
            report=lambda *told, **figures: None,
        )
    counts = {name: result[name] for name in ("created", "updated", "unchanged", "rejected")}
    took = {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu}
    print(json.dumps(took | counts | {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
