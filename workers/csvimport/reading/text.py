"""A file's bytes or text, in memory that does not grow."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from workers.csvimport.reading.encoding import ERROR_HANDLERS

BLOCK_BYTES = 1 << 20


@contextmanager
def open_text(source: IO[bytes], encoding: str) -> Iterator[io.TextIOWrapper]:
    """The source stays open afterwards."""
    source.seek(0)
    text = io.TextIOWrapper(source, encoding, ERROR_HANDLERS[encoding], newline="")
    try:
        yield text
    finally:
        text.detach()


def read_blocks(source: IO[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
    source.seek(0)
    while block := source.read(BLOCK_BYTES):
        tick()
        yield block
