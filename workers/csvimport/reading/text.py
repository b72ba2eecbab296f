"""A file's bytes or text, in memory that does not grow."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from workers.csvimport.reading.encoding import ERROR_HANDLERS
from workers.csvimport.reading.errors import LINE_TOO_LONG, MAX_LINE_CHARACTERS, CsvUnreadable

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 4 * MAX_LINE_CHARACTERS  # no encoding takes more for a character


@contextmanager
def open_text(source: IO[bytes], encoding: str) -> Iterator[io.TextIOWrapper]:
    """The source stays open afterwards."""
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, ERROR_HANDLERS[encoding], newline="")
    try:
        yield text
    finally:
        text.detach()


def strip_dos_end(text: str) -> str:
    """Programs of DOS end a text with Ctrl-Z, and fill its last block with NULs."""
    stripped = text.rstrip("\x1a\0")
    return stripped if "\x1a" in text[len(stripped) :] else text


def read_blocks(source: IO[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    """Raises CsvUnreadable at a line that is too long in any encoding."""
    source.seek(0)
    line_bytes = 0
    while block := source.read(BLOCK_BYTES):
        tick()
        line_end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        line_bytes = len(block) - 1 - line_end if line_end >= 0 else line_bytes + len(block)
        if line_bytes > MAX_LINE_BYTES:
            raise CsvUnreadable(LINE_TOO_LONG)
        yield block
