"""One run of ffmpeg over one uploaded file, in a cage: an upload is hostile until proven harmless.

ffmpeg gets the file as its stdin and can open no other: playlists, concat scripts and references to
elsewhere find neither a reader nor a protocol. It has limits of memory, CPU, disk and time, nothing
of the worker's environment (the database's password is in there), no ear for the worker's signals,
and it dies with the worker.
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
# What x264 chooses by itself on 2 cores, but capped: every thread holds frames, and a small dyno
# shows all the cores of its host.
THREADS = str(min(8, (os.cpu_count() or 1) + 1))

# Where the site shares the machine, who waits for a page comes first; alone it costs ffmpeg nothing (bench/resets.py).
POLITE = 10

TICK_SECONDS = 0.4
KEPT_BYTES = 256 * 1024
OUT_TIME = re.compile(rb"^out_time_us=(\d+)\n", re.MULTILINE)

# The options before the input; the decoder enforces max_pixels whatever the file's header says.
CAGE = (
    *("-hide_banner", "-nostdin", "-nostats", "-y", "-progress", "pipe:1", "-stats_period", "0.4"),
    *("-protocol_whitelist", "fd", "-format_whitelist", CONTAINERS),
    *("-max_pixels", str(MAX_PIXELS), "-threads", THREADS),
)

TOO_LONG = (
    "Converting this video took longer than the site allows, so it was stopped. Upload a shorter or a smaller one."
)


class VideoError(Exception):
    """No video can be made of it: `sentence` is for people, `detail` (ffmpeg's words) for staff."""

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class TookTooLong(VideoError):
    """ffmpeg was ended at the time limit."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its return code (negative: the signal that ended it), and what it said."""

    code: int
    said: str

    @property
    def detail(self) -> str:
        """The last 20 lines."""
        return "\n".join(self.said.splitlines()[-20:])


def run(
    source: Path,
    arguments: Sequence[str] = (),
    *,
    start: float = 0.0,
    deadline: float,
    on_tick: Callable[[float], None],
) -> Ended:
    """Run ffmpeg on `source` from second `start` on; `arguments` describe the output.

    `on_tick(seconds of output made)` is called at least twice a second, however silent ffmpeg is;
    what it raises ends ffmpeg at once. Raises TookTooLong at `deadline`, a time.monotonic().
    """
    seek = ("-ss", f"{start:.3f}") if start else ()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *CAGE, *seek, "-i", "fd:", *arguments]
    worker = os.getpid()
    cpu_seconds = round((deadline - time.monotonic() + 60) * (os.cpu_count() or 1))
    with (
        source.open("rb") as stdin,
        Popen(  # noqa: S603
            command,
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
            env={},
            preexec_fn=lambda: _apply_limits(worker, cpu_seconds),
        ) as ffmpeg,
    ):
        try:
            return Ended(said=_follow(ffmpeg, deadline, on_tick), code=ffmpeg.wait())
        finally:
            ffmpeg.kill()


def _apply_limits(worker: int, cpu_seconds: int) -> None:
    """Runs in the child, between fork and exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, PARENT_SIGNALS)
    die_with_parent()
    if os.getppid() != worker:  # the worker died before that call
        os._exit(1)
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    os.nice(POLITE)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(which: int, most: int) -> None:
    hard = resource.getrlimit(which)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (least, least))


def _follow(ffmpeg: Popen[bytes], deadline: float, on_tick: Callable[[float], None]) -> str:
    """Read what ffmpeg says until it ends; returns the end of its stderr, memory bounded."""
    progress = said = b""
    seconds = 0.0
    with DefaultSelector() as selector:
        for pipe in filter(None, (ffmpeg.stdout, ffmpeg.stderr)):
            selector.register(pipe, EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(TICK_SECONDS):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                elif key.fileobj is ffmpeg.stderr:
                    said = (said + chunk)[-KEPT_BYTES:]
                else:
                    progress = (progress + chunk)[-4096:]
                    seconds = max([seconds, *(int(us) / 1e6 for us in OUT_TIME.findall(progress))])
            on_tick(seconds)
            if time.monotonic() > deadline:
                raise TookTooLong(TOO_LONG, said.decode(errors="replace"))
    return said.decode(errors="replace")
