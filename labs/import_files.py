"""What each process of lab 4 does: imports files with the site's engine, with a lock and without."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection

from mediaapp.models import CatalogueItem
from workers.csvimport import chunks
from workers.csvimport.run import CsvImport
from workers.csvimport.target_table import TargetTable
from workers.practices import concurrency, locks

PLACES = 4  # for writers of the table
Import = Callable[[Path, int, dict[str, Any]], None]
SESSION = "SET application_name = 'lab'; SET deadlock_timeout = '100ms'"


def write_file(kind: str, number: int, keys: Iterable[int]) -> None:
    lines = (f"A{key:08},Title {key},Creator {key % 997},{number}.50,{key % 50}\n" for key in keys)
    path_of(kind, number).write_text("external_id,title,creator,price,stock\n" + "".join(lines))


def path_of(kind: str, number: int) -> Path:
    return Path(settings.LOCAL_DIR, f"{kind}{number}.csv")


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


def import_file(
    path: Path, owner_id: int, do_import: Import = import_without_lock, is_sorted: bool = True
) -> tuple[float, int]:
    """Seconds in a worker's slot, and deadlocks: after each, it goes on at its checkpoint."""
    vars(chunks)["sorted"] = sorted if is_sorted else list  # list: the rows of a chunk keep the order of their file
    with connection.cursor() as cursor:
        cursor.execute(SESSION)
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
