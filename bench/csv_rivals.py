"""Rows per second of other importers for Django, at several sizes, new rows only, against the CSV import.

Not judged, and measured once only, because the slowest importer takes minutes.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import catalogues
from bench.csv_import import run_import, time_run
from bench.rows import Row
from mediaapp.models import User

SIZES = (1_000, 3_000, 10_000)


def measure(*, quick: bool) -> Iterator[Row]:
    """Each importer at each size, and our import of the same file right after it."""
    sizes = (100, 500) if quick else SIZES
    owner = User.objects.create_user("rival", "rival@example.com")
    with TemporaryDirectory(prefix="catalogues-") as folder:
        for name, importer in catalogues.slow_importers():
            for rows in sizes:
                path = catalogues.write_catalogue(Path(folder) / "rival.csv", rows)
                theirs, ours = time_both(partial(importer, path, owner), path, owner)
                note = f"the import {rows / ours:,.0f} rows/s, {theirs / ours:,.1f} x"
                yield Row(f"{name}, {rows:,} new rows", rows / theirs, "rows/s", note=note)
    owner.delete()


def time_both(importer: partial[None], path: Path, owner: User) -> tuple[float, float]:
    """Seconds of the other importer, and of ours."""
    theirs = time_run(importer)["seconds"]
    catalogues.empty_table()
    ours = run_import(path, owner)["seconds"]
    catalogues.empty_table()
    return theirs, ours
