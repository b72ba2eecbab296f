"""Reads a video's streams from ffprobe's JSON (docs/facts/tools.md#video-probe).

A hostile file can forge what it says of itself. The limits of the sandbox do not depend on it.
"""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.video import sandbox
from workers.video.languages import language_name

TIME_LIMIT_SECONDS = 60.0
MAX_STDOUT_BYTES = 8 * 1024**2
MAX_NAME_CHARACTERS = 80
ENTRIES = (
    "format=format_name,duration"
    ":stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,pix_fmt,field_order,duration"
    ",color_space,color_transfer,color_primaries"
    ":stream_disposition=default,attached_pic,timed_thumbnails"
    ":stream_tags=language,title:stream_side_data=rotation:chapter=id"
)
# What their header says of the length was written down. Other formats have none, and ffprobe guesses it.
DECLARING = {"mov", "matroska", "avi", "flv", "asf"}
# Their times may start again in the middle, which ffmpeg repairs.
DISCONTINUOUS = {"mpegts", "mpeg", "ogg"}
COVERS = ("attached_pic", "timed_thumbnails")
# The page names these if they are left out; a camera's track of time codes is nothing to miss.
KINDS = {"video": "picture", "audio": "sound track", "subtitle": "subtitles"}

DIMENSIONS = re.compile(r"^#dimensions 0: (\d+)x(\d+)$", re.MULTILINE)
BROKEN = (
    "This file could not be read as a video. It may be damaged or cut off; "
    "play it on your own computer, then upload it again."
)
NO_VIDEO_STREAM = "This file has no moving pictures in it, only sound or a cover. Upload a video."
# ffprobe opens each stream's decoder, and prints nothing else if one refuses.
PICTURE_SIZE = re.compile(r"Picture size (\d+)x(\d+) exceeds")
REFUSED_CODEC = re.compile(r"Codec \((\w+)\) not on whitelist")
CODEC_NOT_READ = (
    "A part of this video is coded as {}, which the site does not read. "
    "Convert it to an MP4 with H.264 on your own computer, then upload that."
)
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


@dataclass(frozen=True)
class Media:
    """A file's streams. picture, sound: as ffprobe describes them. left_out: {"kind", "name"} of each other stream."""

    info: VideoInfo
    format: str
    picture: dict[str, Any]
    sound: dict[str, Any] | None
    left_out: tuple[dict[str, str], ...]

    @property
    def is_discontinuous(self) -> bool:
        return not DISCONTINUOUS.isdisjoint(self.format.split(","))

    @property
    def declared_seconds(self) -> float:
        """Of the streams that are kept, or 0."""
        if DECLARING.isdisjoint(self.format.split(",")):
            return 0.0
        kept = [seconds(stream.get("duration")) for stream in (self.picture, self.sound) if stream]
        return min(self.info.duration, max(kept)) if all(kept) else self.info.duration


def probe(source: Path, on_tick: Callable[[], None] = lambda: None) -> VideoInfo:
    """Raises VideoUnreadable, VideoTimeoutError."""
    return inspect(source, on_tick).info


def inspect(source: Path, on_tick: Callable[[], None] = lambda: None) -> Media:
    """Raises VideoUnreadable, VideoTimeoutError. on_tick is called at least twice a second; what it raises ends it."""
    described, run = _run_ffprobe(source, on_tick)
    streams = described.get("streams") or []
    if not streams:
        if found := PICTURE_SIZE.search(run.stderr):
            raise VideoUnreadable(TOO_LARGE.format(found[1], found[2]), run.detail)
        if found := REFUSED_CODEC.search(run.stderr):
            raise VideoUnreadable(CODEC_NOT_READ.format(found[1]), run.detail)
        raise VideoUnreadable(BROKEN, run.detail)
    picture = _first(streams, "video")
    if not picture:
        raise VideoUnreadable(NO_VIDEO_STREAM, run.detail)
    if not picture.get("width"):
        picture |= _decoded_size(source, picture, on_tick)
    width, height = _size(picture)
    if not width * height:
        raise VideoUnreadable(BROKEN, run.detail)
    if width * height > sandbox.MAX_PIXELS:
        raise VideoUnreadable(TOO_LARGE.format(width, height), run.detail)
    sound = _first(streams, "audio")
    left_out = [_named(stream) for stream in streams if _is_missed(stream) and stream not in (picture, sound)]
    if described.get("chapters"):
        left_out.append({"kind": "chapters", "name": ""})
    container = described.get("format", {})
    return Media(
        info=VideoInfo(
            duration=seconds(container.get("duration")),
            width=width,
            height=height,
            has_sound=sound is not None,
            bytes=source.stat().st_size,
        ),
        format=container.get("format_name", ""),
        picture=picture,
        sound=sound,
        left_out=tuple(left_out),
    )


def seconds(value: Any) -> float:
    """0 for a time that ffprobe does not know, or that is no time."""
    with suppress(TypeError, ValueError):
        return max(0.0, float(value))
    return 0.0


def _run_ffprobe(source: Path, on_tick: Callable[[], None]) -> tuple[dict[str, Any], sandbox.CompletedRun]:
    stdout = bytearray()

    def read(chunk: bytes) -> None:
        stdout.extend(chunk)
        if len(stdout) > MAX_STDOUT_BYTES:
            raise VideoUnreadable(BROKEN, "ffprobe printed too much")

    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    options = ("-of", "json", "-show_entries", ENTRIES)
    run = sandbox.run_ffprobe(source, options, deadline=deadline, on_stdout=read, on_tick=on_tick)
    with suppress(ValueError):  # a killed ffprobe leaves half of it
        described = json.loads(stdout.decode(errors="replace"))
        return described, run
    return {}, run


def _first(streams: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    """The stream that players choose: the first default one of a kind that ffmpeg knows, else the first."""
    known = [stream for stream in streams if stream.get("codec_type") == kind and _is_shown(stream)]
    known.sort(key=lambda stream: not _disposition(stream, "default"))  # stable
    return known[0] if known else None


def _is_shown(stream: dict[str, Any]) -> bool:
    return "codec_name" in stream and not any(_disposition(stream, name) for name in COVERS)


def _is_missed(stream: dict[str, Any]) -> bool:
    return stream.get("codec_type") in KINDS and not any(_disposition(stream, name) for name in COVERS)


def _disposition(stream: dict[str, Any], name: str) -> int:
    return int(stream.get("disposition", {}).get(name, 0))


def _named(stream: dict[str, Any]) -> dict[str, str]:
    tags = stream.get("tags", {})
    language = tags.get("language", "")
    words = [word for word in (tags.get("title"), "" if language == "und" else language_name(language)) if word]
    return {"kind": KINDS[stream["codec_type"]], "name": ", ".join(words)[:MAX_NAME_CHARACTERS]}


def _decoded_size(source: Path, picture: dict[str, Any], on_tick: Callable[[], None]) -> dict[str, int]:
    """Of the first picture: the header of some formats has none, and this ffprobe has no zlib to decode it."""
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    options = ("-map", f"0:{picture['index']}", "-frames:v", "1", "-f", "framecrc", "pipe:2")
    run = sandbox.run(source, options, deadline=deadline, on_progress=lambda _: on_tick())
    found = DIMENSIONS.search(run.stderr)
    return {"width": int(found[1]), "height": int(found[2])} if found else {}


def _size(picture: dict[str, Any]) -> tuple[int, int]:
    """A phone held upright records a wide picture and a rotation."""
    width, height = int(picture.get("width", 0)), int(picture.get("height", 0))
    rotation = next((int(data["rotation"]) for data in picture.get("side_data_list", ()) if "rotation" in data), 0)
    return (height, width) if rotation % 180 else (width, height)
