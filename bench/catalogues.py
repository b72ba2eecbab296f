"""CSV files as a shop would export them, and other ways to import one into the catalogue."""

import csv
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from django.db import connection
from import_export.fields import Field
from import_export.resources import ModelResource
from tablib import Dataset

from mediaapp.models import CatalogueItem, User

HEADER = ("external_id", "title", "creator", "category", "released_on", "price", "stock")
TABLE = CatalogueItem._meta.db_table
BATCH = 5_000
COPY = f"COPY {TABLE} ({', '.join(HEADER)}) FROM STDIN (FORMAT csv, HEADER)"


def write_catalogue(path: Path, rows: int, *, extra_stock: int = 0) -> Path:
    """Writes the same rows every time, but for `extra_stock` in each."""
    random = Random(7)  # noqa: S311 - no secret
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            comma = ", with a comma" * (number % 10 == 0)
            day = f"{1950 + random.randrange(70)}-{1 + random.randrange(12):02}-{1 + random.randrange(28):02}"
            price, stock = f"{random.randrange(100_000) / 100:.2f}", random.randrange(1000) + extra_stock
            creator, category = f"Creator {random.randrange(5000)}", random.choice(["Book", "Film", "Record", "Game"])
            writer.writerow([f"SKU-{number:09}", f"Title number {number}{comma}", creator, category, day, price, stock])
    return path


def import_by_copy(path: Path, owner: User) -> None:
    r"""As psql's \copy does. The file has no owner, so the owner is the column's default meanwhile."""
    with connection.cursor() as cursor, path.open("rb") as file:
        cursor.execute(f"ALTER TABLE {TABLE} ALTER owner_id SET DEFAULT {owner.pk}")
        with cursor.copy(COPY) as rows:
            while block := file.read(1 << 17):
                rows.write(block)
        cursor.execute(f"ALTER TABLE {TABLE} ALTER owner_id DROP DEFAULT")


def import_by_bulk_create(path: Path, owner: User) -> None:
    """Checks no cell: the database converts the texts."""
    with path.open(newline="") as file:
        items = (CatalogueItem(owner=owner, **row) for row in csv.DictReader(file))
        while batch := list(islice(items, BATCH)):
            CatalogueItem.objects.bulk_create(
                batch, update_conflicts=True, unique_fields=["owner", "external_id"], update_fields=HEADER[1:]
            )


class ItemResource(ModelResource):  # type: ignore[misc] # it has no types
    """django-import-export as its documentation begins."""

    owner = Field(attribute="owner_id", column_name="owner")

    class Meta:
        model = CatalogueItem
        import_id_fields = ("owner", "external_id")
        fields = ("owner", *HEADER)


class BulkItemResource(ItemResource):
    class Meta(ItemResource.Meta):
        use_bulk = True
        batch_size = BATCH


def importer_with(resource: Callable[[], ModelResource]) -> Callable[[Path, User], None]:
    """An import by django-import-export, which needs the whole file in memory."""

    def run(path: Path, owner: User) -> None:
        table: Any = Dataset().load(path.read_text(), format="csv")
        table.append_col([owner.pk] * len(table), header="owner")
        resource().import_data(table, raise_errors=True)

    return run


def vacuum_table() -> None:
    """As autovacuum and the checkpointer would do a while later."""
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {TABLE}")
        cursor.execute("CHECKPOINT")


def empty_table() -> None:
    """Leaves no row, and no pending write."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
        cursor.execute("CHECKPOINT")


def slow_importers() -> Iterator[tuple[str, Callable[[Path, User], None]]]:
    """Those that are too slow for a million rows."""
    yield "bulk_create", import_by_bulk_create
    yield "django-import-export, bulk", importer_with(BulkItemResource)
    yield "django-import-export", importer_with(ItemResource)
