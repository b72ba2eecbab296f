"""Runs ffmpeg over one uploaded file, which may be hostile.

As input, ffmpeg can open only its stdin: no other file, no network, no playlist or script. Memory, CPU, disk and time
are limited. It gets nothing of the worker's environment, which holds the database's password, and it dies with the
worker.
"""

import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import PIPE, Popen

import imageio_ffmpeg

from workers.child_process import PARENT_SIGNALS, die_with_parent

CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"
MAX_PIXELS = 8192 * 8192
MAX_OUTPUT_BYTES = 8 * 1024**3
MAX_MEMORY_BYTES = 4 * 1024**3
MAX_STDERR_BYTES = 256 * 1024
# x264's own choice on 2 cores, with a maximum: each thread holds frames, and a small dyno shows all cores of its host.
THREADS = str(min(8, (os.cpu_count() or 1) + 1))
NICENESS = 10  # web processes on the same machine go first; alone it costs ffmpeg nothing (bench/resets.py)
POLL_SECONDS = 0.4
OUT_TIME = re.compile(rb"^out_time_us=(\d+)\n", re.MULTILINE)

# The decoder enforces max_pixels, whatever the file's header says.
INPUT_OPTIONS = (
    *("-hide_banner", "-nostdin", "-nostats", "-y", "-progress", "pipe:1", "-stats_period", "0.4"),
    *("-protocol_whitelist", "fd", "-format_whitelist", CONTAINERS),
    *("-max_pixels", str(MAX_PIXELS), "-threads", THREADS),
)

TOO_LONG = (
    "Converting this video took longer than the site allows, so it was stopped. Upload a shorter or a smaller one."
)


class VideoError(Exception):
    """sentence: for the user. detail: ffmpeg's output, for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class VideoTimeoutError(VideoError):
    """ffmpeg was killed at the time limit."""


@dataclass(frozen=True)
class CompletedRun:
    """returncode: negative if a signal ended it."""

    returncode: int
    stderr: str

    @property
    def detail(self) -> str:
        return "\n".join(self.stderr.splitlines()[-20:])


def run(
    source: Path,
    output_options: Sequence[str] = (),
    *,
    start: float = 0.0,
    deadline: float,
    on_progress: Callable[[float], None],
) -> CompletedRun:
    """Raises VideoTimeoutError at `deadline`, a time.monotonic().

    on_progress(seconds of output) is called at least twice a second. What it raises kills ffmpeg.
    """
    seek = ("-ss", f"{start:.3f}") if start else ()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *INPUT_OPTIONS, *seek, "-i", "fd:", *output_options]
    worker_pid = os.getpid()
    cpu_seconds = round((deadline - time.monotonic() + 60) * (os.cpu_count() or 1))
    with (
        source.open("rb") as stdin,
        Popen(  # noqa: S603
            command,
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
            env={},
            preexec_fn=lambda: _apply_limits(worker_pid, cpu_seconds),
        ) as ffmpeg,
    ):
        try:
            stderr = _read_to_end(ffmpeg, deadline, on_progress)
            return CompletedRun(ffmpeg.wait(), stderr)
        finally:
            ffmpeg.kill()


def _apply_limits(worker_pid: int, cpu_seconds: int) -> None:
    """Runs in the child, between fork and exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    die_with_parent()
    if os.getppid() != worker_pid:  # the worker died before that call
        os._exit(1)
    if sys.platform == "linux":
        _set_limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    os.nice(NICENESS)
    _set_limit(resource.RLIMIT_CPU, cpu_seconds)
    _set_limit(resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES)
    _set_limit(resource.RLIMIT_CORE, 0)


def _set_limit(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))


def _read_to_end(ffmpeg: Popen[bytes], deadline: float, on_progress: Callable[[float], None]) -> str:
    progress = stderr = b""
    seconds = 0.0
    with DefaultSelector() as selector:
        for pipe in filter(None, (ffmpeg.stdout, ffmpeg.stderr)):
            selector.register(pipe, EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(POLL_SECONDS):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is ffmpeg.stderr:
                    stderr = (stderr + chunk)[-MAX_STDERR_BYTES:]
                else:
                    progress = (progress + chunk)[-4096:]
                    seconds = max([seconds, *(int(us) / 1e6 for us in OUT_TIME.findall(progress))])
            on_progress(seconds)
            if time.monotonic() > deadline:
                raise VideoTimeoutError(TOO_LONG, stderr.decode(errors="replace"))
    return stderr.decode(errors="replace")
