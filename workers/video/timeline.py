"""When each picture of a video is shown, from the times of all its packets.

A header can say anything, and ffmpeg trusts its first seconds. An hour of video takes about 2 s to read
(docs/facts/tools.md#video-probe).
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from workers.video import sandbox
from workers.video.probe import Media, VideoUnreadable, seconds

MAX_PICTURES = 5_000_000  # 24 hours at 60 a second: 40 MB
# x264 delays decoding by two pictures, the reordering of its B-frames.
REORDERED = 2
TOLERANCE_SECONDS = 0.01
MAX_SECONDS = 24 * 3600
ENTRIES = "packet=stream_index,pts_time,dts_time,duration_time,flags"

TRUNCATED = (
    "The file ends in the middle ({:.0f} of {:.0f} seconds could be read). "
    "Copy it again from where you have it whole, then upload it again."
)
TOO_MANY_HOURS = "This video lasts {:.0f} hours, by its own times. Cut it into parts of at most {:.0f} hours each."


@dataclass(frozen=True)
class Timeline:
    """start, end: seconds, of the picture and the sound that are kept. pictures: when each is shown, in order."""

    start: float
    end: float
    pictures: Sequence[float]

    @property
    def length(self) -> float:
        return max(0.0, self.end - self.start)

    def is_cut_by_reordering(self) -> bool:
        """Whether B-frames would make the MP4 end too early.

        Its length is that of the decoding times, which lag behind: by the first pictures' distance at the start, by
        the last pictures' at the end (docs/facts/tools.md#variable-frame-rate).
        """
        times = self.pictures
        if len(times) <= 2 * REORDERED:
            return True
        lost, gained = times[-1] - times[-1 - REORDERED], times[REORDERED] - times[0]
        return lost - gained > TOLERANCE_SECONDS

    def is_constant(self) -> bool:
        """Whether each picture is shown for the same time, to a tenth."""
        times = self.pictures
        if len(times) < 2:
            return True
        usual = (times[-1] - times[0]) / (len(times) - 1)
        longest = max(after - before for before, after in pairwise(times))
        return longest <= usual * 1.1 + TOLERANCE_SECONDS


def measure(source: Path, media: Media, *, deadline: float, on_tick: Callable[[], None]) -> Timeline:
    """Raises VideoTimeoutError. on_tick is called at least twice a second; what it raises ends ffprobe."""
    picture_index = media.picture["index"]
    kept = {str(stream["index"]) for stream in (media.picture, media.sound) if stream}
    unread, pictures, start, end = b"", array("d"), None, 0.0

    def read(chunk: bytes) -> None:
        nonlocal unread, start, end
        *lines, unread = (unread + chunk).split(b"\n")
        for line in lines:
            index, shown, decoded, duration, flags, *_ = [*line.decode(errors="replace").split(","), *[""] * 5]
            shown = shown if shown != "N/A" else decoded  # AVI has no other
            if index not in kept or shown in ("", "N/A") or "D" in flags:
                continue
            at = float(shown)
            start = at if start is None else min(start, at)
            end = max(end, at + seconds(duration))
            if index == str(picture_index) and len(pictures) < MAX_PICTURES:
                pictures.append(at)

    options = ("-of", "csv=p=0", "-show_entries", ENTRIES)
    sandbox.run_ffprobe(source, options, deadline=deadline, on_stdout=read, on_tick=on_tick)
    return Timeline(start or 0.0, end, array("d", sorted(pictures)))


def check_length(seconds_read: float, *, declared: float) -> None:
    """Raises VideoUnreadable. A tenth and a second less is accepted: other streams may be longer."""
    if seconds_read < declared * 0.9 - 1:
        raise VideoUnreadable(TRUNCATED.format(seconds_read, declared))
    if seconds_read > MAX_SECONDS:
        raise VideoUnreadable(TOO_MANY_HOURS.format(seconds_read / 3600, MAX_SECONDS / 3600))
