"""The CSV import beside what a Django project would use instead: its rows per second at several sizes, new rows only.

Shown, not judged, and once only: the slowest takes minutes for what the import does in a blink.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import catalogues
from bench.csv_import import imported, timed
from bench.rows import Row
from mediaapp.models import User

SIZES = (1_000, 3_000, 10_000)


def measure(*, quick: bool) -> Iterator[Row]:
    """Each way at each size, and the import of the same file behind it."""
    sizes = (100, 500) if quick else SIZES
    owner = User.objects.create_user("rival", "rival@example.com")
    with TemporaryDirectory(prefix="catalogues-") as folder:
        for name, way in catalogues.ways():
            for rows in sizes:
                path = catalogues.catalogue(Path(folder) / "rival.csv", rows)
                theirs, ours = turn(partial(way, path, owner), path, owner)
                note = f"the import {rows / ours:,.0f} rows/s, {theirs / ours:,.1f} x"
                yield Row(f"{name}, {rows:,} new rows", rows / theirs, "rows/s", note=note)
    owner.delete()


def turn(way: partial[None], path: Path, owner: User) -> tuple[float, float]:
    """Seconds of the way, and of the import of the same file."""
    theirs = timed(way)["seconds"]
    catalogues.empty()
    ours = imported(path, owner)["seconds"]
    catalogues.empty()
    return theirs, ours
