"""Turn any video into an MP4 that every browser plays, with a JPEG poster.

Knows neither Celery nor the cache: it tells `report` how far it is, and stops when that raises.
However it ends, nothing is left behind but the two finished files; what a killed attempt left, the next one removes.
"""

import errno
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from workers.video import sandbox
from workers.video.probe import BROKEN, Facts, VideoUnreadable, probe

Report = Callable[[float, float, str], None]

# ffmpeg turns the picture upright before this. The size comes out even, with square pixels.
FIT = (
    "scale=w='min(iw*sar,{wide})':h='min(ih,{high})'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2:reset_sar=1"
)
FIT_1080P = FIT.format(wide="if(gt(iw*sar,ih),1920,1080)", high="if(gt(iw*sar,ih),1080,1920)")
FIT_POSTER = FIT.format(wide=1280, high=1280)

# 0:V leaves out cover pictures, which 0:v would take for the video.
POSTER = ("-map", "0:V:0", "-frames:v", "1", "-vf", FIT_POSTER, "-q:v", "3", "-f", "mjpeg")
# veryfast: four times as fast as medium, and the file is smaller (docs/facts/tools.md#encoder-preset).
FILM = (
    *("-map", "0:V:0", "-map", "0:a:0?", "-map_metadata", "-1", "-map_chapters", "-1"),
    *("-vf", FIT_1080P, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23"),
    *("-pix_fmt", "yuv420p", "-threads", sandbox.THREADS),
    *("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4"),
)

TOO_BIG = "The converted video would be larger than 8 GB. Cut it into parts, then upload these."
SCRATCH = ".transcode-"
CUT_OFF = (
    "The file ends in the middle ({:.0f} of {:.0f} seconds could be read). "
    "Copy it again from where you have it whole, then upload it again."
)


@dataclass(frozen=True)
class Result:
    """What the upload was, and what became of it."""

    before: Facts
    after: Facts


def transcode(source: Path, target: Path, poster: Path, *, report: Report, time_limit: float) -> Result:
    """Write `target` (MP4, at most 1080p) and `poster` (JPEG), both in one existing folder.

    `report(done, total, stage)` is in seconds of the video, total 0 where its length is unknown; it
    is called at least twice a second. `time_limit` is in seconds of the clock. Raises a VideoError,
    which has a `sentence` and a `detail`: VideoUnreadable, TookTooLong.
    """
    deadline = time.monotonic() + time_limit
    before = probe(source, lambda _: report(0, 0, "looking at the file"))
    length, reached = before.duration, 0.0

    def tell_progress(seconds: float) -> None:
        nonlocal reached
        reached = min(seconds, length or seconds)
        report(reached, length, "transcoding")

    for left in target.parent.glob(f"{SCRATCH}*"):  # by an attempt that was killed
        rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as scratch:
        still, film = Path(scratch, "still.jpg"), Path(scratch, "film.mp4")
        _make_poster(
            source,
            still,
            start=length / 10,
            deadline=deadline,
            on_tick=lambda _: report(0, length, "making the poster"),
        )
        _make_film(
            source,
            film,
            deadline=deadline,
            on_tick=tell_progress,
        )
        after = probe(film, lambda _: report(length or reached, length, "finishing"))
        # A tenth and a second: the declared length also counts streams that we leave out.
        if after.duration < length * 0.9 - 1:
            raise VideoUnreadable(CUT_OFF.format(after.duration, length))
        still.replace(poster)
        film.replace(target)
    return Result(before, after)


def _make_poster(source: Path, still: Path, *, start: float, deadline: float, on_tick: Callable[[float], None]) -> None:
    """The frame at `start`, or the first: of a video with one frame nothing is left at a tenth."""
    for second in (start, 0.0):
        ended = sandbox.run(source, [*POSTER, f"file:{still}"], start=second, deadline=deadline, on_tick=on_tick)
        if still.exists() and still.stat().st_size:
            return
    raise _reason(ended)


def _make_film(source: Path, film: Path, *, deadline: float, on_tick: Callable[[float], None]) -> None:
    ended = sandbox.run(source, [*FILM, f"file:{film}"], deadline=deadline, on_tick=on_tick)
    if ended.code:
        raise _reason(ended)


def _reason(ended: sandbox.Ended) -> Exception:
    """Whose fault a failed run is: the file's, or ours (the machine's memory, its disk)."""
    if ended.code == -signal.SIGKILL:
        return RuntimeError(f"ffmpeg was killed, most likely for want of memory\n{ended.detail}")
    if ended.code == 256 - errno.ENOSPC:
        return OSError(errno.ENOSPC, f"no space left to transcode\n{ended.detail}")
    if ended.code == -signal.SIGXFSZ:
        return sandbox.VideoError(TOO_BIG, ended.detail)
    return VideoUnreadable(BROKEN, ended.detail)
