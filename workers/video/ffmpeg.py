"""Transcodes any video into an MP4 that every browser plays, with a JPEG poster."""

import errno
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from workers.video import sandbox
from workers.video.probe import BROKEN, Media, VideoInfo, VideoUnreadable, inspect, probe
from workers.video.timeline import Timeline, check_length, measure

ReportProgress = Callable[[float, float, str], None]

# ffmpeg has already rotated the picture. The result has an even size and square pixels.
SCALE = (
    "scale=w='min(iw*sar,{wide})':h='min(ih,{high})'"
    ":force_original_aspect_ratio=decrease:force_divisible_by=2:reset_sar=1"
)
SCALE_TO_1080P = SCALE.format(wide="if(gt(iw*sar,ih),1920,1080)", high="if(gt(iw*sar,ih),1080,1920)")
SCALE_POSTER = SCALE.format(wide=1280, high=1280)

POSTER_OPTIONS = ("-frames:v", "1", "-vf", SCALE_POSTER, "-q:v", "3", "-f", "mjpeg")
# veryfast: four times as fast as medium, and the file is smaller (docs/facts/tools.md#encoder-preset).
VIDEO_OPTIONS = (
    *("-map_metadata", "-1", "-map_chapters", "-1"),
    *("-vf", SCALE_TO_1080P, "-c:v", "libx264", "-preset", "veryfast", "-crf", "23"),
    *("-pix_fmt", "yuv420p", "-threads", sandbox.THREADS),
    *("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4"),
)

RESULT_TOO_LARGE = "The converted video would be larger than 8 GB. Cut it into parts, then upload these."
TEMPORARY_PREFIX = ".transcode-"


@dataclass(frozen=True)
class TranscodeResult:
    """left_out: the other sound tracks, subtitles and pictures of the file."""

    before: VideoInfo
    after: VideoInfo
    left_out: tuple[dict[str, str], ...]


def transcode(
    source: Path, target: Path, poster: Path, *, report: ReportProgress, time_limit: float
) -> TranscodeResult:
    """Writes `target` and `poster` into one existing folder, each complete or not at all.

    report(done, total, stage): seconds of the video; total is 0 if unknown. It is called at least twice a second, and
    what it raises ends the transcoding. time_limit: seconds. Raises VideoError.
    """
    deadline = time.monotonic() + time_limit

    def report_looking() -> None:
        report(0, 0, "looking at the file")

    media = inspect(source, report_looking)
    timeline = measure(source, media, deadline=deadline, on_tick=report_looking)
    check_length(timeline.end, declared=media.declared_seconds)
    length, reached = timeline.length, 0.0

    def report_transcoding(seconds: float) -> None:
        nonlocal reached
        reached = min(seconds, length or seconds)
        report(reached, length, "transcoding")

    for folder in target.parent.glob(f"{TEMPORARY_PREFIX}*"):  # of a killed attempt
        rmtree(folder, ignore_errors=True)
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=target.parent) as temporary:
        new_poster, new_target = Path(temporary, "poster.jpg"), Path(temporary, "video.mp4")
        _make_poster(
            source,
            media,
            new_poster,
            start=length / 10,
            deadline=deadline,
            on_progress=lambda _: report(0, length, "making the poster"),
        )
        _make_video(source, media, timeline, new_target, deadline=deadline, on_progress=report_transcoding)
        after = probe(new_target, lambda: report(length or reached, length, "finishing"))
        if not media.is_discontinuous:
            check_length(after.duration, declared=length)
        new_poster.replace(poster)
        new_target.replace(target)
    return TranscodeResult(replace(media.info, duration=length), after, media.left_out)


def video_options(media: Media, timeline: Timeline) -> list[str]:
    streams = [media.picture, media.sound] if media.sound else [media.picture]
    options = [word for stream in streams for word in ("-map", f"0:{stream['index']}")] + [*VIDEO_OPTIONS]
    if timeline.is_cut_by_reordering():
        options += ("-bf", "0")
    if not timeline.is_constant():
        # Else ffmpeg rounds times to a rate that it guesses from the first seconds, and drops pictures.
        options += ("-enc_time_base:v", "demux")
    return options


def _make_poster(
    source: Path,
    media: Media,
    poster: Path,
    *,
    start: float,
    deadline: float,
    on_progress: Callable[[float], None],
) -> None:
    """A video of a single frame has none at `start`."""
    options = ["-map", f"0:{media.picture['index']}", *POSTER_OPTIONS, f"file:{poster}"]
    for second in (start, 0.0):
        run = sandbox.run(source, options, start=second, deadline=deadline, on_progress=on_progress)
        if poster.exists() and poster.stat().st_size:
            return
    raise _error_of(run)


def _make_video(
    source: Path,
    media: Media,
    timeline: Timeline,
    target: Path,
    *,
    deadline: float,
    on_progress: Callable[[float], None],
) -> None:
    options = [*video_options(media, timeline), f"file:{target}"]
    run = sandbox.run(source, options, deadline=deadline, on_progress=on_progress)
    if run.returncode:
        raise _error_of(run)


def _error_of(run: sandbox.CompletedRun) -> Exception:
    """A VideoError only if the file is at fault."""
    if run.returncode == -signal.SIGKILL:
        return RuntimeError(f"ffmpeg was killed, most likely for want of memory\n{run.detail}")
    if run.returncode == 256 - errno.ENOSPC:
        return OSError(errno.ENOSPC, f"no space left to transcode\n{run.detail}")
    if run.returncode == -signal.SIGXFSZ:
        return sandbox.VideoError(RESULT_TOO_LARGE, run.detail)
    return VideoUnreadable(BROKEN, run.detail)
