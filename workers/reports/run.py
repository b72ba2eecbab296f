"""A report on some rows: figures of every column, duplicates and correlations, and the rows as Parquet and CSV.

Computed in memory, so this is what the big machine is for (practice 9): how much it needs is known before the first
row is read, and what does not fit is refused. The computing is done by a process of its own (report_process.py says
why); this one hands it the rows, tells how far it is, and ends it. Knows neither Celery nor the cache.
"""

import json
import os
import signal
import struct
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
from workers.reports.rows import Rows, kind_of
from workers.telemetry.meter import high_water_bytes

Report = Callable[[float, float, str], None]
Tick = Callable[[float, str], None]

FOLDER = "reports/{}"  # in default_storage, by the id of its job
SUMMARY, PARQUET, CSV = "report.json", "rows.parquet", "rows.csv"
SCRATCH = ".making-"
BASE = 130_000_000  # bytes: of a report on 1,000 rows (119 with Python 3.13)
FACTOR = 3  # bytes for each byte of rows: 1.8 measured on 1,000,000 mixed ones, 2.8 where every row has a twin
TICK = 0.4  # seconds
READING = "reading rows"
LENGTH = struct.Struct(">Q")
TOO_BIG = (
    "This report needs about {} of memory and its worker has {}, so it was not begun. "
    "Make it on fewer rows: on one of your CSV files, or on a part of one."
)
GREW = "This report took more than the {} of memory that its worker has, so it was stopped. Make it on fewer rows."


class OutOfMemory(Exception):
    """It does not fit. sentence: for people; detail: for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


def make_report(rows: Rows, *, same: list[str], folder: Path, limit: int, report: Report) -> dict[str, Any]:
    """Writes SUMMARY, PARQUET and CSV into the folder, or nothing. Returns how many rows, how long, how much memory.

    same: names of fields by which two rows look the same. limit: bytes that this process and the report's may hold.
    report(done, total, stage): called at least twice a second, in hundredths; what it raises ends the report.
    Raises OutOfMemory, before any row is read where that can be said.
    """
    began, own = time.monotonic(), high_water_bytes("self")
    expected = own + BASE + FACTOR * rows.size
    with closing(rows.frames):
        if expected > limit:
            raise OutOfMemory(TOO_BIG.format(format_bytes(expected), format_bytes(limit)))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{SCRATCH}*"):  # by an attempt that was killed
            rmtree(left, ignore_errors=True)
        with TemporaryDirectory(prefix=SCRATCH, dir=folder) as name, _started() as process:
            scratch = Path(name)

            def tick(done: float, stage: str) -> None:
                report(done, 100, stage)
                if own + high_water_bytes(process.pid) > limit:
                    raise OutOfMemory(GREW.format(format_bytes(limit)))

            try:
                _hand_over(process, rows, task_of(rows, same, scratch), tick)
                ended = _follow(process, tick)
            finally:
                process.kill()
            for each in (PARQUET, CSV, SUMMARY):
                (scratch / each).replace(folder / each)
    seconds, peak = round(time.monotonic() - began, 1), own + ended["peak"]
    return {"rows": ended["rows"], "seconds": seconds, "peak_bytes": peak, "expected_bytes": expected}


@contextmanager
def _started() -> Iterator[Popen[bytes]]:
    """The report's process, with nothing of our environment (the database's password is in there).

    It hears none of the worker's signals: a platform that restarts signals every process, and whether the work is
    finished first is for the worker to say. It inherits the mask; no code runs between fork and exec. Its threads:
    a small dyno shows all the cores of its host, and each thread holds memory of its own.
    """
    command = [sys.executable, "-m", "workers.reports.process"]
    environment = {"POLARS_MAX_THREADS": str(min(4, os.cpu_count() or 1))}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    try:
        # Nothing of ours between us and the pipe: what is left in a buffer would be written when all is over.
        process = Popen(  # noqa: S603
            command, bufsize=0, cwd=settings.BASE_DIR, env=environment, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    with process:
        yield process


def task_of(rows: Rows, same: list[str], folder: Path) -> bytes:
    """What report_process.py is told first: a Task of it, as JSON."""
    columns = [
        (field.name, kind_of(field), getattr(field, "max_digits", 0), getattr(field, "decimal_places", 0))
        for field in rows.fields
    ]
    names = [field.name for field in rows.fields]
    files = {"summary": SUMMARY, "parquet": PARQUET, "csv": CSV}
    task = {"columns": columns, "key": rows.key, "same": [name for name in same if name in names]}
    return json.dumps(task | {kind: str(folder / name) for kind, name in files.items()}).encode()


def _hand_over(process: Popen[bytes], rows: Rows, task: bytes, tick: Tick) -> None:
    """The first half of the bar. A process that ends meanwhile is for _follow to find."""
    read = 0
    with suppress(BrokenPipeError):
        for frame, count in chain([(task, 0)], rows.frames, [(b"", 0)]):
            _send(process, frame, partial(tick, 50 * min(1, read / max(1, rows.count)), READING))
            read += count


def _send(process: Popen[bytes], frame: bytes, tick: Callable[[], None]) -> None:
    """As much at a time as the process takes, so that one that stands still does not stop the ticks."""
    assert process.stdin  # noqa: S101 - it is a pipe
    os.set_blocking(process.stdin.fileno(), False)
    left = memoryview(LENGTH.pack(len(frame)) + frame)
    while left:
        tick()
        if select([], [process.stdin], [], TICK)[1]:
            left = left[os.write(process.stdin.fileno(), left) :]


def _follow(process: Popen[bytes], tick: Tick) -> dict[str, int]:
    """The second half: tells every step. Returns the process's last word; raises OutOfMemory where it has none."""
    assert process.stdout  # noqa: S101 - it is a pipe
    said, now = b"", (50.0, READING)
    while True:
        tick(*now)
        if not select([process.stdout], [], [], TICK)[0]:
            continue
        if not (chunk := os.read(process.stdout.fileno(), 65536)):
            raise _reason(process)
        *lines, said = (said + chunk).split(b"\n")
        for line in map(json.loads, lines):
            if "peak" in line:
                return dict(line)
            now = 50 + 50 * line["done"] / line["total"], line["stage"]


def _reason(process: Popen[bytes]) -> Exception:
    """Why it ended early. Rust aborts where it gets no memory; the kernel kills."""
    assert process.stderr  # noqa: S101 - it is a pipe
    said = process.stderr.read()[-5000:].decode(errors="replace")
    code = process.wait()
    if code in (-signal.SIGKILL, -signal.SIGABRT) or "MemoryError" in said:
        return OutOfMemory("This report took more memory than its worker could get. Make it on fewer rows.", said)
    return RuntimeError(f"the report's process ended with {code}\n{said}")
