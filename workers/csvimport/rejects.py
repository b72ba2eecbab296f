"""The rows that an import could not take: kept with their reasons, and given back as a CSV to mend and upload again."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from workers.csvimport.cells.formulas import escape_formula
from workers.csvimport.header import REPORT
from workers.models import RejectedRow
from workers.postgres_copy import copy_rows

KEPT = 100_000  # rows of a job; more than that is mended at the source, not in a spreadsheet
BATCH = 500


class Reject(NamedTuple):
    """line: where the record begins in its file, counted from 1. cells: as they stand there."""

    line: int
    reason: str
    cells: list[str]


def store(job_id: UUID, rejects: list[Reject], kept: int = KEPT) -> None:
    """Adds the rows to those of the job, inside the caller's transaction, until there are as many as kept."""
    if not rejects:
        return
    room = max(0, kept - RejectedRow.objects.filter(job=job_id).count())
    columns = ", ".join(connection.ops.quote_name(name) for name in ("job_id", "line", "reason", "cells"))
    copy_rows(
        f"COPY {RejectedRow._meta.db_table} ({columns}) FROM STDIN",
        (
            (job_id, line, _storable(reason), json.dumps([_storable(cell) for cell in cells]))
            for line, reason, cells in rejects[:room]
        ),
    )


def as_csv(job_id: UUID, header: list[str], delimiter: str = ",") -> Iterator[str]:
    """The file to mend, piece by piece: the cells as they came, then the line and the reason.

    Begins with a byte order mark, without which Excel takes UTF-8 for something else. What a row has beyond the
    header comes after the reason.
    """
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, delimiter=delimiter)
    width = len(header)
    writer.writerow(map(escape_formula, [*header, *REPORT]))
    rows = RejectedRow.objects.filter(job=job_id).order_by("line").values_list("line", "reason", "cells")
    following = rows.iterator(chunk_size=BATCH)
    while batch := list(islice(following, BATCH)):
        for line, reason, cells in batch:
            own = cells[:width] + [""] * (width - len(cells))
            writer.writerow(map(escape_formula, [*own, str(line), reason, *cells[width:]]))
        yield _drained(text)
    yield _drained(text)


def _drained(text: io.StringIO) -> str:
    written = text.getvalue()
    text.seek(0)
    text.truncate()
    return written


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL; its picture is what people see instead."""
    return text.replace("\0", "\u2400")
