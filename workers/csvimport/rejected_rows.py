"""The rows that an import rejected, stored and returned as a CSV."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from workers.csvimport.cells.formulas import escape_formula
from workers.csvimport.header import REJECTION_COLUMNS
from workers.models import RejectedRow
from workers.postgres_copy import copy_rows

MAX_STORED_ROWS = 100_000  # of a job; who has more must mend the source of the file
FETCHED_ROWS = 500


class Rejection(NamedTuple):
    """line: counted from 1, where the record begins."""

    line: int
    reason: str
    cells: list[str]


def store_rejections(job_id: UUID, rejections: list[Rejection], max_rows: int = MAX_STORED_ROWS) -> None:
    """Runs in the caller's transaction. Ignores what exceeds max_rows of the job."""
    if not rejections:
        return
    room = max(0, max_rows - RejectedRow.objects.filter(job=job_id).count())
    columns = ", ".join(connection.ops.quote_name(name) for name in ("job_id", "line", "reason", "cells"))
    copy_rows(
        f"COPY {RejectedRow._meta.db_table} ({columns}) FROM STDIN",
        (
            (job_id, line, _replace_nul(reason), json.dumps(list(map(_replace_nul, cells))))
            for line, reason, cells in rejections[:room]
        ),
    )


def stream_rejections(job_id: UUID, header: list[str], delimiter: str = ",") -> Iterator[str]:
    """Begins with a byte order mark, without which Excel does not read it as UTF-8."""
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, delimiter=delimiter)
    width = len(header)
    writer.writerow(map(escape_formula, [*header, *REJECTION_COLUMNS]))
    rows = RejectedRow.objects.filter(job=job_id).order_by("line").values_list("line", "reason", "cells")
    rows_left = rows.iterator(chunk_size=FETCHED_ROWS)
    while batch := list(islice(rows_left, FETCHED_ROWS)):
        for line, reason, cells in batch:
            padded = cells[:width] + [""] * (width - len(cells))
            writer.writerow(map(escape_formula, [*padded, str(line), reason, *cells[width:]]))
        yield _take_text(text)
    yield _take_text(text)


def _take_text(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _replace_nul(text: str) -> str:
    return text.replace("\0", "\u2400")
