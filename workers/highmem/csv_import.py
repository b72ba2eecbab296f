"""A CSV file into a table, a chunk at a time: rows, rejected rows and checkpoint in one transaction.

Knows the model's fields and nothing else of the site. Stopped at any moment, it goes on after the last chunk that was
committed, and every record counts once. While the database writes one chunk, a thread reads and checks the next.
"""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import IO, Any

from django.db import transaction

from workers.highmem.csv_checking import Checker, Chunk
from workers.highmem.csv_dialect import Dialect
from workers.highmem.csv_header import Header, Table, match_header
from workers.highmem.csv_reading import PAGE_LINES, Shape, examine, read_header, read_pages
from workers.highmem.csv_writing import Upsert
from workers.highmem.rejects import Reject

__all__ = ["Table", "import_csv"]
READING = "reading the file"
COUNTED = ("created", "updated", "unchanged", "rejected")


def import_csv(
    source: IO[bytes],
    *,
    table: Table,
    checkpoint: dict[str, Any],
    save: Callable[[dict[str, Any], dict[str, Any]], None],
    reject: Callable[[list[Reject]], None],
    report: Callable[..., None],
    chunk_lines: int = PAGE_LINES,
    dialect: Dialect | None = None,
    columns: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Inserts or updates a row for every record of the file, by the table's key. Returns the result.

    source: seekable; left open. checkpoint: what save was given last, or {}. dialect: how the file is written, guessed
    where it is None. columns: field name -> index of its column; None: by the names in the header.
    save(checkpoint, result), reject(rows): called within the chunk's transaction; raising undoes the chunk.
    report(done, total, stage, **counts): called after every chunk, in records; total 0 while it is unknown.
    The result: "rows" = created + updated + unchanged + rejected. Of records with one key in one chunk the last is
    written, and the others count as unchanged. Raises Unreadable.
    """
    report(0, 0, READING)
    shape = Shape(**checkpoint["shape"]) if checkpoint else examine(source, partial(report, 0, 0, READING), dialect)
    cells, next_line = read_header(source, shape)
    header = match_header(cells, table, columns)
    result = _empty_result(header, shape)
    if checkpoint:
        next_line, result = checkpoint["next_line"], checkpoint["result"]
    tell = partial(_report, report, f"writing {table.model._meta.verbose_name_plural}")
    tell(shape.records, result)
    upsert = Upsert(table, list(header.places))
    pages = read_pages(source, shape, first_line=next_line, page_lines=chunk_lines)
    with closing(pages), closing(_one_ahead(map(Checker(header, table, shape).check, pages))) as chunks:
        for chunk in chunks:
            with transaction.atomic():
                result = _added(result, chunk, *upsert.write(chunk.rows))
                reject(chunk.rejects)
                save({"shape": asdict(shape), "next_line": chunk.next_line, "result": result}, result)
            tell(shape.records, result)
    tell(result["rows"], result)
    return result


def _one_ahead(chunks: Iterator[Chunk]) -> Generator[Chunk, None, None]:
    """The same chunks, each begun in a thread while the one before is in use."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, chunks, None)
        while chunk := coming.result():
            coming = thread.submit(next, chunks, None)
            yield chunk


def _empty_result(header: Header, shape: Shape) -> dict[str, Any]:
    return {
        **dict.fromkeys(("rows", *COUNTED), 0),
        "header": header.names,
        "ignored_columns": header.ignored,
        "encoding": shape.encoding.removesuffix("-sig"),
        "delimiter": shape.delimiter,
        "decimal": shape.decimal,
        "dates": shape.dates,
    }


def _added(result: dict[str, Any], chunk: Chunk, created: int, updated: int) -> dict[str, Any]:
    rejected = len(chunk.rejects)
    unchanged = chunk.records - rejected - created - updated
    more = {"created": created, "updated": updated, "unchanged": unchanged, "rejected": rejected, "rows": chunk.records}
    return result | {name: result[name] + count for name, count in more.items()}


def _report(report: Callable[..., None], stage: str, expected: int, result: dict[str, Any]) -> None:
    """expected: an estimate, which quotes inside unquoted cells can make too small."""
    report(result["rows"], max(expected, result["rows"]), stage, **{name: result[name] for name in COUNTED})
