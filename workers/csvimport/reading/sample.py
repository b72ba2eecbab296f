"""The beginning of a CSV file."""

import codecs
import io
import re
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import IO

from workers.csvimport.reading.dialect import Dialect
from workers.csvimport.reading.encoding import ERROR_HANDLERS, guess_encoding
from workers.csvimport.reading.errors import LINE_TOO_LONG, MAX_LINE_CHARACTERS, NOT_TEXT, CsvUnreadable
from workers.csvimport.reading.records import RecordPage, read_header, read_pages
from workers.csvimport.reading.table_start import TableStart

HEAD_BYTES = 1_500_000
HEAD_LINES = 20_000  # most of them may be blank, or in quoted cells
LINE = re.compile(r"[^\r\n]*+(?:\r\n?|\n)|[^\r\n]+")  # io.StringIO would take four bytes a character
MAX_RECORDS = 1_000


def read_head(source: IO[bytes], encoding: str = "") -> tuple[str, str, bool]:
    """The text as whole lines, the encoding ("" for plain ASCII), and whether that is certain.

    encoding: "" for a guess. Raises CsvUnreadable.
    """
    source.seek(0)
    head = source.read(HEAD_BYTES)
    is_whole = len(head) < HEAD_BYTES
    is_certain = True
    if not encoding:
        encoding, is_certain = guess_encoding(head, is_whole=is_whole)
    codec = encoding or "utf-8-sig"
    try:
        text = codecs.getincrementaldecoder(codec)(ERROR_HANDLERS[codec]).decode(head, final=is_whole)
    except UnicodeError as error:
        raise CsvUnreadable(NOT_TEXT, str(error)) from None
    lines = [line[0] for line in islice(LINE.finditer(text), HEAD_LINES)]
    whole_lines = lines if is_whole or len(lines) == HEAD_LINES else lines[:-1]
    if not whole_lines or max(map(len, lines)) > MAX_LINE_CHARACTERS:
        raise CsvUnreadable(LINE_TOO_LONG)
    return "".join(whole_lines), encoding, is_certain


def read_first_records(text: str, dialect: Dialect, start: TableStart) -> tuple[list[str], RecordPage]:
    """The names of the columns, and up to MAX_RECORDS as one page. Raises CsvUnreadable."""
    source, dialect = io.BytesIO(text.encode()), replace(dialect, encoding="utf-8-sig")
    cells, next_line = read_header(source, dialect, start)
    lines, rows, broken = list[int](), list[list[str]](), list[tuple[int, list[str]]]()
    with closing(read_pages(source, dialect, first_line=next_line, page_lines=MAX_RECORDS)) as pages:
        for page in pages:
            lines += page.lines
            rows += page.rows
            broken += page.broken
            if len(rows) + len(broken) >= MAX_RECORDS:
                break
    return cells, RecordPage(lines[:MAX_RECORDS], rows[:MAX_RECORDS], broken[:MAX_RECORDS], next_line)
