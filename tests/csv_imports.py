"""Imports of CSV text into a table, with all that they give to their callbacks."""

import io
from typing import Any

from mediaapp.models import User
from mediaapp.uploads.mapping import catalogue_table
from workers.csvimport.run import CsvImport
from workers.csvimport.target_table import TargetTable

HEADER = "external_id,title,creator,category,released_on,price,stock\n"

# Rejected rows, records of two lines, and keys that come again in the next record and later.
MIXED = HEADER + "".join(
    f'A{number // 2 % 9},"Title\n{number}",,,,{"x" if number % 7 == 0 else number // 4},\n' for number in range(60)
)


class ImportRun:
    """One import. A second run() resumes at the checkpoint. options: of CsvImport."""

    def __init__(self, table: TargetTable, data: str | bytes, **options: Any) -> None:
        self.table = table
        self.data = data.encode() if isinstance(data, str) else data
        self.options = options
        self.checkpoint: dict = {}
        self.rejections: list = []
        self.reports: list = []

    def run(self, **options: Any) -> dict:
        callbacks = {"save": self.save, "reject": self.rejections.extend, "report": self.report}
        chosen = callbacks | {"chunk_lines": 5} | self.options | options
        return CsvImport(source=io.BytesIO(self.data), table=self.table, checkpoint=self.checkpoint, **chosen).run()

    def save(self, checkpoint: dict, result: dict) -> None:
        self.checkpoint = checkpoint

    def report(self, done: float, total: float, stage: str, **counts: int) -> None:
        self.reports.append((done, total, stage, counts))


def import_for(owner: User, data: str | bytes) -> ImportRun:
    """An import into the owner's catalogue."""
    return ImportRun(catalogue_table(owner.pk), data)


def counts(result: dict) -> tuple[int, ...]:
    """Created, updated, unchanged and rejected rows."""
    assert result["rows"] == sum(result[name] for name in ("created", "updated", "unchanged", "rejected"))
    return result["created"], result["updated"], result["unchanged"], result["rejected"]


def catalogue(owner: User) -> list[tuple]:
    return list(owner.catalogue.order_by("external_id").values_list("external_id", "title", "price", "stock"))
