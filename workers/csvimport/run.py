"""A CSV file into a table, a chunk at a time: rows, rejected rows and checkpoint in one transaction.

Knows the model's fields and nothing else of the site. Stopped at any moment, it goes on after the last chunk that was
committed, and every record counts once. While the database writes one chunk, a thread reads and checks the next.
"""

import gc
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from typing import IO, Any

from django.db import transaction

from workers.csvimport.header import Header, Table, match_header
from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.records import PAGE_LINES, CsvUnreadable, Shape, examine, read_header, read_pages
from workers.csvimport.rejects import Reject
from workers.csvimport.validate import Checker, Chunk
from workers.csvimport.write import Upsert, Written

__all__ = ["MostlyBad", "Table", "import_csv"]
READING = "reading the file"
CHUNK_LINES = 10_000  # about 0.1 s of an import; 20,000 are 5 % quicker, and 125 MB instead of 108
FIRST_ROWS = 1_000  # before that many, no share of bad rows means anything
COUNTED = ("created", "updated", "unchanged", "rejected")


class MostlyBad(Exception):
    """Too many rows are rejected for this to be the right file, or to be meant for this table."""

    def __init__(self, rejected: int, rows: int) -> None:
        self.sentence = (
            f"Stopped after {rows:,} rows, because {rejected:,} of them were rejected. What was imported before stays. "
            "Look at the rejected rows: if they are what you expect, import the rest all the same."
        )
        super().__init__(self.sentence)


@contextmanager
def in_two_threads() -> Iterator[None]:
    """Python's habits for one thread that makes objects without cycles while another one talks to the database.

    Cycles of garbage are looked for after 50,000 new objects, not 700: an import makes none, and many objects. The
    threads change places after 0.5 ms, not 5, so that the database waits less (docs/facts/tools.md#switch-interval).
    """
    collections, turns = gc.get_threshold(), sys.getswitchinterval()
    gc.set_threshold(50_000, *collections[1:])
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        gc.set_threshold(*collections)
        sys.setswitchinterval(turns)


@in_two_threads()
def import_csv(
    source: IO[bytes],
    *,
    table: Table,
    checkpoint: dict[str, Any],
    save: Callable[[dict[str, Any], dict[str, Any]], None],
    reject: Callable[[list[Reject]], None],
    report: Callable[..., None],
    max_bad_share: float = 1,
    chunk_lines: int = CHUNK_LINES,
    dialect: Dialect | None = None,
    columns: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Inserts or updates a row for every record of the file, by the table's key. Returns the result.

    source: seekable; left open. checkpoint: what save was given last, or {}. dialect: how the file is written, guessed
    where it is None. columns: field name -> index of its column; None: by the names in the header.
    save(checkpoint, result), reject(rows): called within the chunk's transaction; raising undoes the chunk.
    report(done, total, stage, **counts): called after every chunk, in records; total 0 while it is unknown.
    max_bad_share: of the records so far; with more, MostlyBad is raised before the next chunk, if there is one: a file
    that has been read to its end is imported, however many of its rows were rejected. 1 takes any file.
    The result: "rows" = created + updated + unchanged + rejected, "rows_before" of them by earlier attempts. Of records
    with one key the last one stays: the others count as unchanged within its chunk, and each as it was written before.
    Raises CsvUnreadable, which says so where it comes after some rows.
    The last commits are on disk with the caller's next one: they do not wait for it themselves.
    """
    report(0, 0, READING)
    shape = Shape(**checkpoint["shape"]) if checkpoint else examine(source, partial(report, 0, 0, READING), dialect)
    cells, first_line = read_header(source, shape)
    header = match_header(cells, table, columns)
    counted = checkpoint.get("result", {})
    result: dict[str, Any] = _empty_result(header, shape) | counted | {"rows_before": counted.get("rows", 0)}
    tell = partial(_report, report, f"writing {table.model._meta.verbose_name_plural}")
    tell(shape.records, result)
    upsert = Upsert(table, list(header.places))
    write = partial(_write, upsert, shape, save, reject)
    checker = Checker(header, table, shape, upsert.others)
    chunks_of_rest = _chunks(source, shape, checker, chunk_lines, checkpoint.get("next_line", first_line))
    try:
        with closing(_one_ahead(chunks_of_rest)) as chunks:
            for chunk in chunks:
                _refuse_mostly_bad(result, max_bad_share)
                result = write(chunk, result)
                tell(shape.records, result)
    except CsvUnreadable as error:
        raise error.after(result["rows"]) from error
    tell(result["rows"], result)
    return result


def _refuse_mostly_bad(result: dict[str, Any], max_bad_share: float) -> None:
    if result["rejected"] > result["rows"] * max_bad_share and result["rows"] >= FIRST_ROWS:
        raise MostlyBad(result["rejected"], result["rows"])


def _chunks(
    source: IO[bytes], shape: Shape, checker: Checker, chunk_lines: int, first_line: int
) -> Generator[Chunk, None, None]:
    page_lines = min(PAGE_LINES, chunk_lines)
    with closing(read_pages(source, shape, first_line=first_line, page_lines=page_lines)) as pages:
        yield from checker.chunks(pages, chunk_lines // page_lines)


def _one_ahead(chunks: Generator[Chunk, None, None]) -> Generator[Chunk, None, None]:
    """The same chunks, each begun in a thread while the one before is in use."""
    with closing(chunks), ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, chunks, None)
        while chunk := coming.result():
            coming = thread.submit(next, chunks, None)
            yield chunk


def _write(
    upsert: Upsert,
    shape: Shape,
    save: Callable[[dict[str, Any], dict[str, Any]], None],
    reject: Callable[[list[Reject]], None],
    chunk: Chunk,
    result: dict[str, Any],
) -> dict[str, Any]:
    """The result with the chunk, whose rows, rejected rows and checkpoint are then committed.

    The checkpoint has the counts only: the header is in the file, and may be wide.
    """
    with transaction.atomic():
        written = upsert.write(chunk)
        result = _added(result, chunk, written)
        reject(sorted([*chunk.rejects, *written.refused]))
        counts = {name: result[name] for name in ("rows", *COUNTED)}
        save({"shape": asdict(shape), "next_line": chunk.next_line, "result": counts}, result)
    return result


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


def _added(result: dict[str, Any], chunk: Chunk, written: Written) -> dict[str, Any]:
    rejected = len(chunk.rejects) + len(written.refused)
    more = {
        "created": written.created,
        "updated": written.updated,
        "unchanged": chunk.records - rejected - written.created - written.updated,
        "rejected": rejected,
        "rows": chunk.records,
    }
    return result | {name: result[name] + count for name, count in more.items()}


def _report(report: Callable[..., None], stage: str, expected: int, result: dict[str, Any]) -> None:
    """expected: an estimate, which quotes inside unquoted cells can make too small."""
    report(result["rows"], max(expected, result["rows"]), stage, **{name: result[name] for name in COUNTED})
