"""What a video file holds, read from what ffmpeg itself says of it.

Not from PyAV: that is another libav, which can see a file otherwise than the ffmpeg that transcodes it, and is slow to
import (docs/facts/tools.md#video-probe). A hostile file can forge these lines; the limits of the sandbox hold without
them.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workers.video import sandbox

TIME_LIMIT = 60.0
DURATION = re.compile(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+),", re.MULTILINE)
STREAM = re.compile(r"^  Stream #0:", re.MULTILINE)
SIZE = re.compile(r": Video: .*?, (\d+)x(\d+)\b")
ROTATION = re.compile(r"^ +display ?matrix: rotation of (-?\d+)", re.MULTILINE | re.IGNORECASE)

BROKEN = (
    "This file could not be read as a video. It may be damaged or cut off; "
    "play it on your own computer, then upload it again."
)
NO_PICTURE = "This file has no moving pictures in it, only sound or a cover. Upload a video."
TOO_LARGE = "The picture is {} x {} pixels. Make it smaller than 8192 x 8192, then upload it again."


class VideoUnreadable(sandbox.VideoError):
    """The file is no video that ffmpeg can read."""


@dataclass(frozen=True)
class Facts:
    """A video's length in seconds (0: unknown), its size in pixels as shown, and in bytes."""

    duration: float
    width: int
    height: int
    has_sound: bool
    bytes: int


def probe(source: Path, on_tick: Callable[[float], None] = lambda _: None) -> Facts:
    """Facts of the first video stream that is no cover picture. Raises VideoUnreadable, TookTooLong."""
    deadline = time.monotonic() + TIME_LIMIT
    # Without an output ffmpeg always ends with an error, after it has said what it found.
    ended = sandbox.run(source, deadline=deadline, on_tick=on_tick)
    head, *streams = STREAM.split(ended.said)
    if not streams:
        raise VideoUnreadable(BROKEN, ended.detail)
    pictures = [s for s in streams if ": Video: " in s and "(attached pic)" not in s]
    if not pictures:
        raise VideoUnreadable(NO_PICTURE, ended.detail)
    width, height = _size(pictures[0])
    if not width * height:
        raise VideoUnreadable(BROKEN, ended.detail)
    if width * height > sandbox.MAX_PIXELS:
        raise VideoUnreadable(TOO_LARGE.format(width, height), ended.detail)
    return Facts(
        duration=_duration(head),
        width=width,
        height=height,
        has_sound=any(": Audio: " in stream for stream in streams),
        bytes=source.stat().st_size,
    )


def _duration(head: str) -> float:
    found = DURATION.search(head)
    if not found:
        return 0.0
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _size(stream: str) -> tuple[int, int]:
    """Width and height as shown: a telephone held upright records a wide picture and a rotation."""
    size, rotation = SIZE.search(stream), ROTATION.search(stream)
    if not size:
        return 0, 0
    width, height = int(size[1]), int(size[2])
    return (height, width) if rotation and int(rotation[1]) % 180 else (width, height)
