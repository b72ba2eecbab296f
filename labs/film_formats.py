"""A hundred kinds of film that our ffmpeg can write, as cameras, editors, recorders and the web do."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from labs.zlib_films import compress_frames, compress_header

SECONDS = 0.4
AAC, MP3, PCM, OPUS, VORBIS, NO_SOUND = (
    "-c:a aac",
    "-c:a libmp3lame",
    "-c:a pcm_s16le",
    "-c:a libopus",
    "-c:a libvorbis",
    "-an",
)


@dataclass(frozen=True)
class FilmFormat:
    """rewrite: what ffmpeg's file goes through, if ffmpeg cannot write the format itself."""

    suffix: str
    options: str
    size: str = "176x144"
    rate: str = "25"
    rewrite: Callable[[bytes], bytes] | None = None

    @property
    def name(self) -> str:
        rewritten = f" {self.rewrite.__name__}" if self.rewrite else ""
        return f"{self.suffix} {self.options} {self.size} {self.rate}{rewritten}"


def _each(suffix: str, sound: str, *videos: str, **picture: Any) -> list[FilmFormat]:
    return [FilmFormat(suffix, f"-c:v {video} {sound}", **picture) for video in videos]


H264 = "libx264 -preset ultrafast -pix_fmt yuv420p"
HEVC = "libx265 -preset ultrafast -x265-params log-level=error"
VP9 = "libvpx-vp9 -deadline realtime -cpu-used 8"
AV1 = "libsvtav1 -preset 12"

FORMATS = [
    *_each("mp4", AAC, H264, f"{H264} -bf 2 -g 5", HEVC, f"{HEVC} -tag:v hvc1", "mpeg4", "mpeg2video", AV1, VP9),
    *_each(
        "mp4",
        AAC,
        f"{H264} -movflags frag_keyframe+empty_moov",
        f"{H264} -timecode 01:00:00:00",
        "mjpeg -pix_fmt yuvj420p",
    ),
    *_each("mp4", AAC, "libx264 -preset ultrafast -pix_fmt yuv444p", "libx264 -preset ultrafast -pix_fmt yuv422p10le"),
    *_each(
        "mp4",
        AAC,
        "libx264 -preset ultrafast -pix_fmt gray",
        "libx264rgb -preset ultrafast",
        "libvvenc -preset faster -qp 40",
    ),
    *_each("mp4", MP3, H264),
    *_each("mp4", NO_SOUND, H264, f"{HEVC} -pix_fmt yuv420p10le"),
    *_each("mp4", "-c:a ac3", H264),
    *_each("mp4", "-c:a alac", H264),
    *_each("mp4", "-c:a flac", H264),
    *_each("mp4", OPUS, H264),
    *_each("mp4", AAC, f"{H264} -vf setsar=16/15", f"{H264} -r 29.97", f"{H264} -r 120", f"{H264} -r 1"),
    *_each("m4v", AAC, H264),
    *_each("3gp", AAC, H264, "mpeg4", "h263"),
    *_each("3g2", AAC, H264),
    *_each("f4v", AAC, H264),
    *_each(
        "mov",
        PCM,
        H264,
        "mjpeg -pix_fmt yuvj422p",
        "prores_ks -profile:v 0",
        "prores_ks -profile:v 3",
        "prores_ks -profile:v 4 -pix_fmt yuva444p10le",
    ),
    *_each(
        "mov",
        PCM,
        "qtrle",
        "png",
        "rawvideo -pix_fmt uyvy422",
        "v210",
        "r210",
        "cfhd",
        "hap",
        "rpza",
        "svq1",
        "jpeg2000",
        "ffv1",
    ),
    *_each("mov", PCM, "dvvideo -pix_fmt yuv420p", size="720x576"),
    *_each("mov", PCM, "dnxhd -profile:v dnxhr_sq", "dnxhd -profile:v dnxhr_hqx -pix_fmt yuv422p10le", size="640x360"),
    *_each("mov", PCM, "dnxhd -b:v 36M", size="1920x1080"),
    *_each("mov", "-c:a pcm_s24be", H264),
    *_each("mov", "-c:a adpcm_ima_qt", H264),
    *_each("mov", AAC, f"{H264} -timecode 10:00:00:00"),
    *_each(
        "mkv",
        AAC,
        H264,
        HEVC,
        "ffv1",
        "mpeg2video",
        "mpeg4",
        "mjpeg -pix_fmt yuvj420p",
        "rawvideo",
        "utvideo",
        "prores_ks",
        "snow",
        "libtheora",
    ),
    *_each("mkv", OPUS, VP9, AV1, f"{VP9} -pix_fmt yuv420p10le"),
    *_each("mkv", VORBIS, "libvpx -deadline realtime"),
    *_each("mkv", "-c:a flac", H264),
    *_each("mkv", "-c:a dca -strict -2", H264),
    *_each("mkv", "-c:a truehd -strict -2", H264),
    *_each("mkv", "-c:a eac3", H264),
    *_each("mkv", "-c:a wavpack", H264),
    *_each("mkv", "-c:a tta", H264),
    *_each("mkv", "-c:a mp2", H264),
    *_each("mkv", PCM, H264),
    *_each("webm", OPUS, VP9, AV1),
    *_each("webm", VORBIS, "libvpx -deadline realtime"),
    *_each("webm", NO_SOUND, VP9),
    *_each(
        "avi",
        MP3,
        "mpeg4",
        "mpeg4 -vtag xvid -bf 1",
        "libxvid",
        "msmpeg4",
        "msmpeg4v2",
        "wmv2",
        H264,
        "mjpeg -pix_fmt yuvj420p",
        "flv",
    ),
    *_each(
        "avi",
        PCM,
        "huffyuv",
        "ffvhuff",
        "ffv1",
        "utvideo",
        "rawvideo",
        "cinepak",
        "msvideo1",
        "msrle",
        "zmbv",
        "zlib",
        "asv1",
        "asv2",
    ),
    *_each("avi", PCM, "cljr", "ljpeg -pix_fmt yuvj420p", "png", "h263p", "libtheora", "speedhq", "y41p", "yuv4"),
    *_each("avi", "-c:a adpcm_ms", "mpeg4"),
    *_each("avi", PCM, "dvvideo -pix_fmt yuv420p", size="720x576"),
    *_each("avi", "-c:a ac3", "mpeg4"),
    *_each("avi", NO_SOUND, "rawvideo -pix_fmt bgr24"),
    *_each("mpg", "-c:a mp2", "mpeg1video", "mpeg2video"),
    *_each("vob", "-c:a ac3", "mpeg2video"),
    *_each("ts", AAC, H264, HEVC, "mpeg2video"),
    *_each("ts", "-c:a mp2", "mpeg2video"),
    *_each("m2ts", "-c:a ac3", H264),
    *_each("flv", MP3, "flv", "flashsv", "flashsv2"),
    *_each("flv", AAC, H264),
    *_each("wmv", "-c:a wmav2", "wmv1", "wmv2", "msmpeg4"),
    *_each("asf", MP3, "mpeg4", H264),
    *_each("ogv", VORBIS, "libtheora"),
    *_each("ogv", "-c:a flac", "libtheora"),
    *_each("ogv", OPUS, "libtheora"),
    *_each("mov", PCM, H264, "mjpeg -pix_fmt yuvj422p", "rawvideo -pix_fmt uyvy422", rewrite=compress_header),
    *_each("mov", AAC, f"{H264} -movflags faststart", rewrite=compress_header),
    *_each("mkv", AAC, H264, "mpeg4", "mjpeg -pix_fmt yuvj420p", rewrite=compress_frames),
    *_each("webm", OPUS, VP9, rewrite=compress_frames),
]


def write_film(path: Path, film: FilmFormat) -> None:
    """Raises CalledProcessError if this ffmpeg cannot write it."""
    picture = f"testsrc2=size={film.size}:rate={film.rate}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", str(SECONDS), *film.options.split(), str(path)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - ours
    if film.rewrite:
        path.write_bytes(film.rewrite(path.read_bytes()))
