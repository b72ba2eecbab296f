"""The runs of ffmpeg that make the poster and the MP4 of one video."""

import errno
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workers.video import filters, sandbox
from workers.video.probe import BROKEN, Media, VideoUnreadable
from workers.video.timeline import Timeline

OnProgress = Callable[[float], None]

POSTER_OPTIONS = ("-frames:v", "1", "-q:v", "3", "-f", "mjpeg")
LIGHT_OPTIONS = ("-frames:v", "1", "-f", "rawvideo")
# veryfast: four times as fast as medium, and the file is smaller (docs/facts/tools.md#encoder-preset).
VIDEO_OPTIONS = (
    *("-map_metadata", "-1", "-map_chapters", "-1"),
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "23"),
    *("-pix_fmt", "yuv420p", "-threads", sandbox.THREADS),
    *("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", "-f", "mp4"),
)

RESULT_TOO_LARGE = "The converted video would be larger than 8 GB. Cut it into parts, then upload these."


@dataclass(frozen=True)
class Encoder:
    """deadline: a time.monotonic(). Its methods raise VideoError, and what on_progress raises."""

    source: Path
    media: Media
    timeline: Timeline
    deadline: float

    def measure_white(self, folder: Path, on_progress: OnProgress) -> float:
        """Nits of what is shown as white. Looks at three pictures of an HDR video, and at none of another."""
        if not filters.is_hdr(self.media.picture):
            return filters.SDR_NITS
        light = filters.light_filter(self.media.picture)
        files = [folder / f"light{tenth}" for tenth in (1, 5, 9)]
        for tenth, file in zip((1, 5, 9), files, strict=True):
            start = self.timeline.length * tenth / 10
            self._run([*self._picture(light), *LIGHT_OPTIONS], file, start=start, on_progress=on_progress)
        return filters.white_nits(files)

    def make_poster(self, poster: Path, white: float, on_progress: OnProgress) -> None:
        """A video of a single frame has none at a tenth."""
        chain = filters.chain(self.media.picture, filters.SCALE_POSTER, white) + filters.JPEG_COLOURS
        options = [*self._picture(chain), *POSTER_OPTIONS]
        for start in (self.timeline.length / 10, 0.0):
            run = self._run(options, poster, start=start, on_progress=on_progress)
            if poster.exists() and poster.stat().st_size:
                return
        raise _error_of(run)

    def make_video(self, target: Path, white: float, on_progress: OnProgress) -> None:
        run = self._run(self.video_options(white), target, on_progress=on_progress)
        if run.returncode:
            raise _error_of(run)

    def video_options(self, white: float = filters.SDR_NITS) -> list[str]:
        options = [*self._picture(filters.chain(self.media.picture, filters.SCALE_TO_1080P, white)), *VIDEO_OPTIONS]
        if self.media.sound:
            options += ("-map", f"0:{self.media.sound['index']}")
        if self.timeline.is_cut_by_reordering():
            options += ("-bf", "0")
        if not self.timeline.is_constant():
            # Else ffmpeg rounds times to a rate that it guesses from the first seconds, and drops pictures.
            options += ("-enc_time_base:v", "demux")
        return options

    def _picture(self, filter_chain: str) -> list[str]:
        return ["-map", f"0:{self.media.picture['index']}", "-vf", filter_chain]

    def _run(
        self, options: Sequence[str], output: Path, *, start: float = 0.0, on_progress: OnProgress
    ) -> sandbox.CompletedRun:
        return sandbox.run(self.source, options, output, start=start, deadline=self.deadline, on_progress=on_progress)


def _error_of(run: sandbox.CompletedRun) -> Exception:
    """A VideoError only if the file is at fault."""
    if run.returncode == -signal.SIGKILL:
        return RuntimeError(f"ffmpeg was killed, most likely for want of memory\n{run.detail}")
    if run.returncode == 256 - errno.ENOSPC:
        return OSError(errno.ENOSPC, f"no space left to transcode\n{run.detail}")
    if run.returncode == -signal.SIGXFSZ:
        return sandbox.VideoError(RESULT_TOO_LARGE, run.detail)
    return VideoUnreadable(BROKEN, run.detail)
