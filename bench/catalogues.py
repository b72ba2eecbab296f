"""CSV files as a shop would export them, and the other ways to get one into the catalogue."""

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


def catalogue(path: Path, rows: int, *, more: int = 0) -> Path:
    """Writes the same rows every time; `more` is added to each one's stock."""
    chance = Random(7)  # noqa: S311 - no secret
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            comma = ", with a comma" * (number % 10 == 0)
            day = f"{1950 + chance.randrange(70)}-{1 + chance.randrange(12):02}-{1 + chance.randrange(28):02}"
            price, stock = f"{chance.randrange(100_000) / 100:.2f}", chance.randrange(1000) + more
            creator, category = f"Creator {chance.randrange(5000)}", chance.choice(["Book", "Film", "Record", "Game"])
            writer.writerow([f"SKU-{number:09}", f"Title number {number}{comma}", creator, category, day, price, stock])
    return path


def copy(path: Path, owner: User) -> None:
    r"""What psql's \copy does. The owner, which the file does not have, is the column's default meanwhile."""
    with connection.cursor() as cursor, path.open("rb") as file:
        cursor.execute(f"ALTER TABLE {TABLE} ALTER owner_id SET DEFAULT {owner.pk}")
        with cursor.copy(COPY) as rows:
            while block := file.read(1 << 17):
                rows.write(block)
        cursor.execute(f"ALTER TABLE {TABLE} ALTER owner_id DROP DEFAULT")


def bulk_create(path: Path, owner: User) -> None:
    """Django's own, without a check of any cell: texts become what the database makes of them."""
    with path.open(newline="") as file:
        items = (CatalogueItem(owner=owner, **row) for row in csv.DictReader(file))
        while batch := list(islice(items, BATCH)):
            CatalogueItem.objects.bulk_create(
                batch, update_conflicts=True, unique_fields=["owner", "external_id"], update_fields=HEADER[1:]
            )


class Items(ModelResource):  # type: ignore[misc] # it has no types
    """django-import-export as its documentation begins."""

    owner = Field(attribute="owner_id", column_name="owner")

    class Meta:
        model = CatalogueItem
        import_id_fields = ("owner", "external_id")
        fields = ("owner", *HEADER)


class ItemsInBulk(Items):
    """The same with its bulk mode."""

    class Meta(Items.Meta):
        use_bulk = True
        batch_size = BATCH


def import_export(resource: Callable[[], ModelResource]) -> Callable[[Path, User], None]:
    """An import with the resource. The file is in memory as a whole, as it has to be."""

    def run(path: Path, owner: User) -> None:
        table: Any = Dataset().load(path.read_text(), format="csv")
        table.append_col([owner.pk] * len(table), header="owner")
        resource().import_data(table, raise_errors=True)

    return run


def refresh() -> None:
    """As autovacuum and the checkpointer would leave the table a while later."""
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM ANALYZE {TABLE}")
        cursor.execute("CHECKPOINT")


def empty() -> None:
    """No row, and no work for the disk left over from before."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}")
        cursor.execute("CHECKPOINT")


def ways() -> Iterator[tuple[str, Callable[[Path, User], None]]]:
    """Those that are too slow for a million rows."""
    yield "bulk_create", bulk_create
    yield "django-import-export, bulk", import_export(ItemsInBulk)
    yield "django-import-export", import_export(Items)
