"""What a worker and its report process say to each other over pipes. Knows neither Django nor polars.

stdin of the process: frames, each with its length before it (8 bytes, big-endian). The first is a ReportTask as JSON,
the others are rows as CSV, an empty one is the last. stdout: lines of JSON, {"done", "total", "stage"} for each step,
then {"rows", "peak"}.
"""

import struct
from collections.abc import Iterator
from typing import IO, TypedDict

LENGTH = struct.Struct(">Q")
PROCESS_MODULE = "workers.reports.process"


class ReportTask(TypedDict):
    """columns: [name, kind, digits, decimal places]. key: the last of several rows with one key counts.

    same: the columns by which rows are duplicates. summary, parquet, csv: paths to write.
    """

    columns: list[tuple[str, str, int, int]]
    key: list[str]
    same: list[str]
    summary: str
    parquet: str
    csv: str


def frame(content: bytes) -> bytes:
    """The content with its length before it."""
    return LENGTH.pack(len(content)) + content


def read_frames(source: IO[bytes]) -> Iterator[bytes]:
    """Ends at the empty frame. Raises EOFError if the source ends before it: the worker has died."""
    while True:
        head = source.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise EOFError
        content = source.read(LENGTH.unpack(head)[0])
        if not content:
            return
        yield content
