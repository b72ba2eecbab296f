"""What a worker and its report process send each other over pipes. Imports neither Django nor polars.

stdin: frames after their lengths (8 bytes, big-endian): a ReportTask as JSON, rows as CSV, and an empty one at the end.
stdout: lines of JSON, {"done", "total", "stage"} for each step, then {"rows", "peak"}.
"""

import struct
from collections.abc import Iterator
from typing import IO, TypedDict

LENGTH = struct.Struct(">Q")
PROCESS_MODULE = "workers.reports.process"


class ReportTask(TypedDict):
    """columns: [name, kind, digits, decimal places]. key: the last of several rows with one key counts.

    same: the columns by which rows are duplicates.
    """

    columns: list[tuple[str, str, int, int]]
    key: list[str]
    same: list[str]
    summary: str
    parquet: str
    csv: str


def frame(content: bytes) -> bytes:
    return LENGTH.pack(len(content)) + content


def read_frames(source: IO[bytes]) -> Iterator[bytes]:
    """Raises EOFError if the worker dies before the empty frame."""
    while True:
        head = source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise EOFError
        content = source.read(LENGTH.unpack(head)[0])
        if not content:
            return
        yield content
