"""A transcode as a whole job, against the bare ffmpeg command with the same options."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from uuid import uuid4

import imageio_ffmpeg
from django.conf import settings
from django.utils import timezone

from bench.rows import Row
from workers.models import Job
from workers.video.encode import Encoder
from workers.video.probe import inspect
from workers.video.tasks import transcode_video
from workers.video.timeline import measure as measure_times

ROUNDS = 5


def measure(*, quick: bool) -> Iterator[Row]:
    """The median of the ratios of rounds, each of both in turn."""
    seconds, size, rounds = (1, "160x120", 1) if quick else (20, "1280x720", ROUNDS)
    folder = Path(settings.MEDIA_ROOT, "bench")
    folder.mkdir(parents=True)
    source = folder / "source"
    write_video(source, seconds, size)
    bare, ours = [], []
    for _ in range(rounds):
        bare.append(time_ffmpeg(source, folder / "bare.mp4"))
        ours.append(time_job(source))
    ratio = median(own / other for own, other in zip(ours, bare, strict=True))
    note = f"{seconds} s of {size}: {median(ours):.2f} s, bare {median(bare):.2f} s"
    yield Row("transcode job / bare ffmpeg, wall time", ratio, at_most=1.08, note=note)


def write_video(path: Path, seconds: int, size: str) -> None:
    """With a moving picture and a tone."""
    inputs = ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", "-f", "lavfi", "-i", "sine=440")
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "mp4")
    run_ffmpeg(*inputs, "-t", str(seconds), *coding, str(path))


def run_ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-v", "error", *arguments]
    subprocess.run(command, check=True)  # noqa: S603 - nothing in it comes from outside


def time_ffmpeg(source: Path, target: Path) -> float:
    media = inspect(source)
    timeline = measure_times(source, media, deadline=time.monotonic() + 60, on_tick=lambda: None)
    options = Encoder(source, media, timeline, time.monotonic()).video_options()
    began = time.monotonic()
    run_ffmpeg("-i", str(source), *options, str(target))
    return time.monotonic() - began


def time_job(source: Path) -> float:
    """Seconds from the claim of its row to its final state: probe, poster, film, lock and progress."""
    arguments = {"source": str(source.relative_to(settings.MEDIA_ROOT))}
    job = Job.objects.create(
        id=uuid4(), task=transcode_video.name, queue="video", arguments=arguments, queued_at=timezone.now()
    )
    began = time.monotonic()
    transcode_video(str(job.id))
    seconds = time.monotonic() - began
    job.refresh_from_db()
    if job.state != Job.State.DONE:
        raise RuntimeError(f"{job}: {job.message} {job.detail}")
    return seconds
