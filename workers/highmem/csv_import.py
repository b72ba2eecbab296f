"""A CSV file into a table, a chunk at a time: rows, rejected rows and checkpoint in one transaction.

Knows the model's fields and nothing else of the site. Stopped at any moment, it goes on after the last chunk that was
committed, and every record counts once. While the database writes one chunk, a thread reads and checks the next.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

from django.db import transaction

from workers.highmem.csv_columns import Column
from workers.highmem.csv_header import Header, Table, match_header
from workers.highmem.csv_reading import Record, Shape, Unreadable, examine, read_records
from workers.highmem.csv_writing import Upsert
from workers.highmem.rejects import Reject

CHUNK_ROWS = 10_000  # about 0.1 s: as often can a report be heard, a cancel be seen
CHUNK_CHARACTERS = 4_000_000
READING, FINDING = "reading the file", "finding the last saved row"
COUNTED = ("created", "updated", "unchanged", "rejected")


class Chunk(NamedTuple):
    """rows: values in the order of the header's fields. records: how many of the file this was."""

    rows: list[tuple[Any, ...]]
    rejects: list[Reject]
    records: int


def import_csv(
    source: BinaryIO,
    *,
    table: Table,
    checkpoint: dict[str, Any],
    save: Callable[[dict[str, Any], dict[str, Any]], None],
    reject: Callable[[list[Reject]], None],
    report: Callable[..., None],
    chunk_rows: int = CHUNK_ROWS,
) -> dict[str, Any]:
    """Inserts or updates a row for every record of the file, by the table's key. Returns the result.

    source: seekable; left open. checkpoint: what save was given last, or {}.
    save(checkpoint, result), reject(rows): called within the chunk's transaction; raising undoes the chunk.
    report(done, total, stage, **counts): called after every chunk; total 0 while it is unknown.
    The result: "rows" = created + updated + unchanged + rejected; of records with one key in one chunk the last is
    written and the others count as unchanged. Raises Unreadable.
    """
    report(0, 0, READING)
    shape = Shape(**checkpoint["shape"]) if checkpoint else examine(source, partial(report, 0, 0, READING))
    with closing(read_records(source, shape)) as records:
        header = _read_header(records, table)
        result = checkpoint["result"] if checkpoint else _empty_result(header, shape)
        _skip(records, result["rows"], report)
        upsert = Upsert(table, list(header.places))
        stage = f"writing {table.model._meta.verbose_name_plural}"
        with closing(_one_ahead(_checked_chunks(records, header, table, chunk_rows))) as chunks:
            for chunk in chunks:
                with transaction.atomic():
                    result = _added(result, chunk, *upsert.write(chunk.rows))
                    reject(chunk.rejects)
                    save({"shape": asdict(shape), "result": result}, result)
                report(result["rows"], max(shape.records, result["rows"]), stage, **_counts(result))
        report(result["rows"], result["rows"], stage, **_counts(result))
        return result


def _read_header(records: Iterator[Record], table: Table) -> Header:
    first = next(records, None)
    if first is None:
        raise Unreadable("The file is empty. Choose a CSV file with a header line and at least one row.")
    if first.problem:
        raise Unreadable(f"The header in line {first.line} cannot be read: {first.problem}.")
    return match_header(first.cells, table)


def _skip(records: Iterator[Record], count: int, report: Callable[..., None]) -> None:
    """Passes over what an earlier attempt committed."""
    for done, _ in enumerate(islice(records, count)):
        if done % CHUNK_ROWS == 0:
            report(done, count, FINDING)


def _checked_chunks(records: Iterator[Record], header: Header, table: Table, chunk_rows: int) -> Iterator[Chunk]:
    columns = [(place, Column(field, required=table.requires(field))) for field, place in header.places.items()]
    key_of = itemgetter(*(place for place, field in enumerate(header.places) if field in table.key))
    for batch in _batches(records, chunk_rows):
        whole, rejects = _whole(batch, header)
        rows = _clean(whole, header, columns, rejects)
        last_of_each_key = {key_of(row): row for row in rows}
        yield Chunk(list(last_of_each_key.values()), sorted(rejects), len(batch))


def _batches(records: Iterator[Record], rows: int) -> Iterator[list[Record]]:
    """As many records as fit into a chunk, by their number and by their size."""
    batch: list[Record] = []
    characters = 0
    for record in records:
        batch.append(record)
        characters += sum(map(len, record.cells))
        if len(batch) == rows or characters > CHUNK_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _whole(batch: list[Record], header: Header) -> tuple[list[Record], list[Reject]]:
    """The records with a cell for every name in the header, and the others."""
    whole, rejects = [], []
    for record in batch:
        if record.problem or len(record.cells) != header.width:
            reason = record.problem or f"has {len(record.cells)} cells, and the header has {header.width}"
            rejects.append(Reject(record.line, reason, header.own_cells(record.cells)))
        else:
            whole.append(record)
    return whole, rejects


def _clean(
    records: list[Record], header: Header, columns: list[tuple[int, Column]], rejects: list[Reject]
) -> list[tuple[Any, ...]]:
    """The values of the rows without fault; the others are added to rejects with all that is wrong with them."""
    cells = list(zip(*(record.cells for record in records), strict=True)) or [()] * header.width
    values, reasons = [], defaultdict[int, list[str]](list)
    for place, column in columns:
        cleaned, problems = column.clean(cells[place])
        values.append(cleaned)
        for index, problem in problems.items():
            reasons[index].append(f"{header.names[place]}: {problem}")
    for index, problems_of_row in reasons.items():
        line, own, _ = records[index]
        rejects.append(Reject(line, "; ".join(problems_of_row), header.own_cells(own)))
    return [row for index, row in enumerate(zip(*values, strict=True)) if index not in reasons]


def _one_ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The same chunks, each begun in a thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, chunks, None)
        while chunk := coming.result():
            coming = thread.submit(next, chunks, None)
            yield chunk


def _empty_result(header: Header, shape: Shape) -> dict[str, Any]:
    return {
        **dict.fromkeys((*COUNTED, "rows"), 0),
        "header": header.names,
        "ignored_columns": header.ignored,
        "encoding": shape.encoding.removesuffix("-sig"),
        "delimiter": shape.delimiter,
    }


def _added(result: dict[str, Any], chunk: Chunk, created: int, updated: int) -> dict[str, Any]:
    rejected = len(chunk.rejects)
    return result | {
        "created": result["created"] + created,
        "updated": result["updated"] + updated,
        "unchanged": result["unchanged"] + chunk.records - rejected - created - updated,
        "rejected": result["rejected"] + rejected,
        "rows": result["rows"] + chunk.records,
    }


def _counts(result: dict[str, Any]) -> dict[str, int]:
    return {name: result[name] for name in COUNTED}
