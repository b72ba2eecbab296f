"""Reads a video's length, size and streams from ffmpeg's output (docs/facts/tools.md#video-probe).

A hostile file can forge that output. The limits of the sandbox do not depend on it.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.video import sandbox

TIME_LIMIT_SECONDS = 60.0
DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+),", re.MULTILINE)
STREAM = re.compile(r"^  Stream #0:", re.MULTILINE)
SIZE = re.compile(r": Video: .*?, (\d+)x(\d+)\b")
ROTATION = re.compile(r"^ +display ?matrix: rotation of (-?\d+)", re.MULTILINE | re.IGNORECASE)

BROKEN = (
    "This file could not be read as a video. It may be damaged or cut off; "
    "play it on your own computer, then upload it again."
)
NO_VIDEO_STREAM = "This file has no moving pictures in it, only sound or a cover. Upload a video."
TOO_LARGE = "The picture is {} x {} pixels. Make it smaller than 8192 x 8192, then upload it again."


class VideoUnreadable(sandbox.VideoError):
    """ffmpeg cannot read the file as a video."""


@dataclass(frozen=True)
class VideoInfo:
    """duration: seconds, 0 if unknown. width, height: pixels as shown."""

    duration: float
    width: int
    height: int
    has_sound: bool
    bytes: int


def probe(source: Path, on_progress: Callable[[float], None] = lambda _: None) -> VideoInfo:
    """Raises VideoUnreadable, VideoTimeoutError."""
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    # Without an output ffmpeg always ends with an error, after it has printed the streams.
    run = sandbox.run(source, deadline=deadline, on_progress=on_progress)
    head, *streams = STREAM.split(run.stderr)
    if not streams:
        raise VideoUnreadable(BROKEN, run.detail)
    videos = [stream for stream in streams if ": Video: " in stream and "(attached pic)" not in stream]
    if not videos:
        raise VideoUnreadable(NO_VIDEO_STREAM, run.detail)
    width, height = _size(videos[0])
    if not width * height:
        raise VideoUnreadable(BROKEN, run.detail)
    if width * height > sandbox.MAX_PIXELS:
        raise VideoUnreadable(TOO_LARGE.format(width, height), run.detail)
    return VideoInfo(
        duration=_duration(head),
        width=width,
        height=height,
        has_sound=any(": Audio: " in stream for stream in streams),
        bytes=source.stat().st_size,
    )


def _duration(head: str) -> float:
    match = DURATION.search(head)
    if not match:
        return 0.0
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _size(stream: str) -> tuple[int, int]:
    """A phone held upright records a wide picture and a rotation."""
    size, rotation = SIZE.search(stream), ROTATION.search(stream)
    if not size:
        return 0, 0
    width, height = int(size[1]), int(size[2])
    return (height, width) if rotation and int(rotation[1]) % 180 else (width, height)
