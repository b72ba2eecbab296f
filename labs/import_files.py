"""What each process of lab 4 does: imports files with the site's engine, with a lock and without."""

import time
from pathlib import Path
from typing import Any

from django.db import OperationalError, connection

from mediaapp.models import CatalogueItem
from workers.csvimport import chunks
from workers.csvimport.run import CsvImport
from workers.csvimport.target_table import TargetTable
from workers.practices import concurrency, locks

PLACES = 4  # for writers of the table
SESSION = "SET application_name = 'lab'; SET deadlock_timeout = '100ms'"


def import_without_lock(path: Path, owner_id: int, saved: dict[str, Any]) -> None:
    """saved: the last checkpoint, or {}."""
    with path.open("rb") as source:
        CsvImport(
            source=source,
            table=TargetTable(CatalogueItem, fixed={"owner_id": owner_id}),
            checkpoint=saved,
            save=lambda checkpoint, _: saved.update(checkpoint),
            reject=lambda _: None,
            report=lambda *_, **__: None,
        ).run()


def import_in_turn(path: Path, owner_id: int, saved: dict[str, Any]) -> None:
    """Raises locks.Busy while another file of the owner is imported."""
    with concurrency.one_writer("lab", owner_id, PLACES):
        import_without_lock(path, owner_id, saved)


def import_file(path: Path, owner_id: int, is_locked: bool = False, is_sorted: bool = True) -> tuple[float, int]:
    """Seconds in a worker's slot, and deadlocks: after each, it goes on at its checkpoint."""
    vars(chunks)["sorted"] = sorted if is_sorted else list  # list: the rows of a chunk keep the order of their file
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
    do_import = import_in_turn if is_locked else import_without_lock
    saved, busy, deadlocks = dict[str, Any](), 0.0, 0
    while True:
        began = time.monotonic()
        try:
            do_import(path, owner_id, saved)
            return busy + time.monotonic() - began, deadlocks
        except locks.Busy:
            time.sleep(0.02)  # the slot is free meanwhile
        except OperationalError as error:
            if "deadlock" not in str(error):
                raise
            busy, deadlocks = busy + time.monotonic() - began, deadlocks + 1
