"""Builds a report in a child process, whose memory is limited.

The need is estimated before the first row is read.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from select import select
from shutil import rmtree
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from workers.byte_format import format_bytes
from workers.child_process import PARENT_SIGNALS
from workers.reports.protocol import PROCESS_MODULE, ReportTask, frame
from workers.reports.rows import RowSource, column_kind
from workers.telemetry.meter import high_water_bytes

ReportProgress = Callable[[float, float, str], None]
OnProgress = Callable[[float, str], None]

FOLDER = "reports/{}"  # in default_storage, by the id of its job
SUMMARY, PARQUET, CSV = "report.json", "rows.parquet", "rows.csv"
TEMPORARY_PREFIX = ".making-"
BASE_BYTES = 130_000_000  # of a report on 1,000 rows (119 with Python 3.13)
BYTES_PER_BYTE = 3  # of rows: 1.8 measured on 1,000,000 mixed ones, 2.8 if every row has a duplicate
POLL_SECONDS = 0.4
READING = "reading rows"
TOO_LARGE = (
    "This report needs about {} of memory and its worker has {}, so it was not begun. "
    "Make it on fewer rows: on one of your CSV files, or on a part of one."
)
GREW_TOO_LARGE = (
    "This report took more than the {} of memory that its worker has, so it was stopped. Make it on fewer rows."
)
NO_MEMORY = "This report took more memory than its worker could get. Make it on fewer rows."


class ReportMemoryError(Exception):
    """sentence: for the user; detail: for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


def build_report(
    rows: RowSource, *, same: list[str], folder: Path, limit: int, report: ReportProgress
) -> dict[str, Any]:
    """Writes SUMMARY, PARQUET and CSV into the folder. Raises ReportMemoryError, if possible before any row is read.

    same: fields by which rows are duplicates. limit: bytes for this process and the report's together.
    report(done, total, stage): in hundredths; what it raises ends the report.
    """
    started, own_bytes = time.monotonic(), high_water_bytes("self")
    expected = own_bytes + BASE_BYTES + BYTES_PER_BYTE * rows.memory_bytes
    with closing(rows.chunks):
        if expected > limit:
            raise ReportMemoryError(TOO_LARGE.format(format_bytes(expected), format_bytes(limit)))
        folder.mkdir(parents=True, exist_ok=True)
        for abandoned in folder.glob(f"{TEMPORARY_PREFIX}*"):  # of a killed attempt
            rmtree(abandoned, ignore_errors=True)
        with TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=folder) as name, _report_process() as process:
            temporary = Path(name)

            def on_progress(done: float, stage: str) -> None:
                report(done, 100, stage)
                if own_bytes + high_water_bytes(process.pid) > limit:
                    raise ReportMemoryError(GREW_TOO_LARGE.format(format_bytes(limit)))

            try:
                _send_rows(process, rows, encode_task(rows, same, temporary), on_progress)
                result = _read_messages(process, on_progress)
            finally:
                process.kill()
            for file in (PARQUET, CSV, SUMMARY):
                (temporary / file).replace(folder / file)
    seconds, peak = round(time.monotonic() - started, 1), own_bytes + result["peak"]
    return {"rows": result["rows"], "seconds": seconds, "peak_bytes": peak, "expected_bytes": expected}


@contextmanager
def _report_process() -> Iterator[Popen[bytes]]:
    """The process gets nothing of the worker's environment, which holds the database's password.

    It inherits the mask of signals, so that no Python code runs between fork and exec.
    """
    command = [sys.executable, "-m", PROCESS_MODULE]
    environment = {"POLARS_MAX_THREADS": str(min(4, os.cpu_count() or 1))}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    try:
        # bufsize=0: the end of the block would flush a buffer, and wait for a process that has stopped reading.
        process = Popen(  # noqa: S603
            command, bufsize=0, cwd=settings.BASE_DIR, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with process:
        yield process


def encode_task(rows: RowSource, same: list[str], folder: Path) -> bytes:
    names = [field.name for field in rows.fields]
    task: ReportTask = {
        "columns": [
            (field.name, column_kind(field), getattr(field, "max_digits", 0), getattr(field, "decimal_places", 0))
            for field in rows.fields
        ],
        "key": rows.key,
        "same": [name for name in same if name in names],
        "summary": str(folder / SUMMARY),
        "parquet": str(folder / PARQUET),
        "csv": str(folder / CSV),
    }
    return json.dumps(task).encode()


def _send_rows(process: Popen[bytes], rows: RowSource, task: bytes, on_progress: OnProgress) -> None:
    """_read_messages notices a process that has ended meanwhile."""
    sent = 0
    with suppress(BrokenPipeError):
        for chunk, count in chain([(task, 0)], rows.chunks, [(b"", 0)]):
            _send(process, frame(chunk), partial(on_progress, 50 * min(1, sent / max(1, rows.count)), READING))
            sent += count


def _send(process: Popen[bytes], content: bytes, report: Callable[[], None]) -> None:
    """Reports go on even if the process stops reading."""
    assert process.stdin  # noqa: S101 - it is a pipe
    os.set_blocking(process.stdin.fileno(), False)
    unsent = memoryview(content)
    while unsent:
        report()
        if select([], [process.stdin], [], POLL_SECONDS)[1]:
            unsent = unsent[os.write(process.stdin.fileno(), unsent) :]


def _read_messages(process: Popen[bytes], on_progress: OnProgress) -> dict[str, int]:
    assert process.stdout  # noqa: S101 - it is a pipe
    unread, progress = b"", (50.0, READING)
    while True:
        on_progress(*progress)
        if not select([process.stdout], [], [], POLL_SECONDS)[0]:
            continue
        if not (chunk := os.read(process.stdout.fileno(), 65536)):
            raise _error_of(process)
        *lines, unread = (unread + chunk).split(b"\n")
        for message in map(json.loads, lines):
            if "peak" in message:
                return dict(message)
            progress = 50 + 50 * message["done"] / message["total"], message["stage"]


def _error_of(process: Popen[bytes]) -> Exception:
    """Rust aborts if it gets no memory; the kernel kills."""
    assert process.stderr  # noqa: S101 - it is a pipe
    stderr = process.stderr.read()[-5000:].decode(errors="replace")
    returncode = process.wait()
    if returncode in (-signal.SIGKILL, -signal.SIGABRT) or "MemoryError" in stderr:
        return ReportMemoryError(NO_MEMORY, stderr)
    return RuntimeError(f"the report's process ended with {returncode}\n{stderr}")
