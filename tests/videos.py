"""Small test videos made by ffmpeg, and what ffmpeg says of a video."""

import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
QUICK = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")


def bare_ffmpeg(*arguments: object) -> bytes:
    """Run ffmpeg outside of the sandbox; returns its stdout. Raises when it fails."""
    command = [FFMPEG, "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True).stdout


def make_video(
    path: Path,
    *options: object,
    seconds: float = 1,
    size: str = "160x120",
    rate: int = 10,
    sound: bool = True,
    picture: str = "testsrc2",
) -> Path:
    """Write a video to `path`, whose suffix is its container; `options` go before the output."""
    image = f"{picture}{'=' if '=' not in picture else ':'}size={size}:rate={rate}"
    sine = ("-f", "lavfi", "-i", "sine=440") if sound else ()
    bare_ffmpeg("-f", "lavfi", "-i", image, *sine, "-t", seconds, *QUICK, *options, path)
    return path


def repeat_video(short: Path, times: int, path: Path) -> Path:
    """Write `short` to `path` that many times: quicker than encoding a long video."""
    bare_ffmpeg("-stream_loop", times - 1, "-i", short, "-c", "copy", path)
    return path


def ffmpeg_output(path: Path) -> str:
    """Container, streams and metadata, as ffmpeg prints them."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def colours(path: Path, columns: int = 1, rows: int = 1) -> list[tuple[int, int, int]]:
    """The first frame as a grid of mean colours (red, green, blue), row by row."""
    scale = f"scale={columns}:{rows}:flags=area"
    rgb = bare_ffmpeg("-i", path, "-frames:v", 1, "-vf", scale, "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    return [(rgb[i], rgb[i + 1], rgb[i + 2]) for i in range(0, len(rgb), 3)]


def loudness(path: Path) -> float:
    """The mean volume of its sound, in dB below the loudest that a file can hold."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-i", str(path), "-af", "volumedetect", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(said.split("mean_volume:")[1].split()[0])
