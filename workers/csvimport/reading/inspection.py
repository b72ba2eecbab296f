"""The first pass over a CSV file, before any row is written."""

import codecs
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO

from workers.csvimport.reading.dialect import Dialect, guess_layout
from workers.csvimport.reading.encoding import ERROR_HANDLERS, find_encoding
from workers.csvimport.reading.errors import (
    ENCODING_IN_DOUBT,
    LINE_TOO_LONG,
    MAX_LINE_CHARACTERS,
    NOT_TEXT,
    CsvUnreadable,
)
from workers.csvimport.reading.table_start import ON_TOP, CountNames, TableStart
from workers.csvimport.reading.text import open_text, read_blocks
from workers.csvimport.reading.western import has_other_letters

HEAD_CHARACTERS = 1 << 16  # that tell the delimiter and the quotes


@dataclass(frozen=True)
class FileFormat(Dialect):
    """records: about how many, without the header.

    Import checkpoints hold its fields by name, without the start: the release before cannot read that.
    """

    records: int = 0
    start: TableStart = ON_TOP


def inspect_file(
    source: IO[bytes],
    tick: Callable[[], None] = lambda: None,
    dialect: Dialect | None = None,
    start: TableStart | None = None,
    count_names: CountNames = lambda cells: 0,
) -> FileFormat:
    """Raises CsvUnreadable, also if nobody chose the encoding and the letters leave it in doubt.

    tick: called before each block, and may raise. dialect, start: None: guess them.
    """
    chosen = dialect.encoding if dialect else ""
    encoding = chosen or find_encoding(read_blocks(source, tick))
    try:
        with open_text(source, encoding) as text:
            head = text.read(HEAD_CHARACTERS)
        layout = guess_layout(head, count_names, *((dialect.delimiter, dialect.quote) if dialect else ()))
        known = dialect or Dialect(delimiter=layout.delimiter, quote=layout.quote)
        counter = _RecordCounter(encoding, known.quote[-1], is_chosen=bool(chosen))
        for block in read_blocks(source, tick):
            counter.add(block)
        records = counter.finish()
    except UnicodeError as error:
        raise CsvUnreadable(NOT_TEXT, str(error)) from None
    return FileFormat(**asdict(known) | {"encoding": encoding}, records=records, start=start or layout.start)


class _RecordCounter:
    """Counts line ends outside quotes: an estimate."""

    def __init__(self, encoding: str, quote: str, *, is_chosen: bool) -> None:
        decoder = codecs.getincrementaldecoder(encoding)(ERROR_HANDLERS[encoding])
        self.decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self.quote = quote
        self.is_in_doubt = encoding == "windows-1252" and not is_chosen
        self.line_ends = self.open_quotes = self.line_characters = 0
        self.last_character = ""

    def add(self, block: bytes) -> None:
        text = self.decoder.decode(block)
        if self.is_in_doubt and has_other_letters(text):
            raise CsvUnreadable(ENCODING_IN_DOUBT)
        self.line_ends += sum(part.count("\n") for part in text.split(self.quote)[self.open_quotes :: 2])
        self.open_quotes ^= text.count(self.quote) & 1
        _, line_end, rest = text.rpartition("\n")
        self.line_characters = len(rest) if line_end else self.line_characters + len(text)
        if self.line_characters > MAX_LINE_CHARACTERS:
            raise CsvUnreadable(LINE_TOO_LONG)
        self.last_character = text[-1:] or self.last_character

    def finish(self) -> int:
        self.decoder.decode(b"", final=True)
        return max(0, self.line_ends - (self.last_character == "\n"))
