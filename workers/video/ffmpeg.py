"""Transcodes any video into an MP4 that every browser plays, with a JPEG poster."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from workers.video.encode import Encoder
from workers.video.probe import VideoInfo, inspect, probe
from workers.video.quicktime import inflate_header
from workers.video.timeline import check_length, measure

ReportProgress = Callable[[float, float, str], None]

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

    length, reached = 0.0, 0.0

    def report_poster(_: float) -> None:
        report(0, length, "making the poster")

    def report_transcoding(seconds: float) -> None:
        nonlocal reached
        reached = min(seconds, length or seconds)
        report(reached, length, "transcoding")

    for folder in target.parent.glob(f"{TEMPORARY_PREFIX}*"):  # of a killed attempt
        rmtree(folder, ignore_errors=True)
    with TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=target.parent) as temporary:
        readable = inflate_header(source, Path(temporary), report_looking)
        media = inspect(readable, report_looking)
        timeline = measure(readable, media, deadline=deadline, on_tick=report_looking)
        if not media.is_discontinuous:
            check_length(timeline.end, declared=media.declared_seconds)
        length = timeline.length
        encoder = Encoder(readable, media, timeline, deadline)
        new_poster, new_target = Path(temporary, "poster.jpg"), Path(temporary, "video.mp4")
        white = encoder.measure_white(Path(temporary), report_poster)
        encoder.make_poster(new_poster, white, report_poster)
        encoder.make_video(new_target, white, report_transcoding)
        after = probe(new_target, lambda: report(length or reached, length, "finishing"))
        if not media.is_discontinuous:
            check_length(after.duration, declared=length)
        new_poster.replace(poster)
        new_target.replace(target)
    before = replace(media.info, duration=length, bytes=source.stat().st_size)
    return TranscodeResult(before, after, media.left_out)
