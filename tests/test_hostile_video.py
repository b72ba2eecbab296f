"""An uploaded file tries to read another file, to reach the network, or to use up the machine.

Each trick is first shown to work on ffmpeg without the sandbox.
"""

import socket
import struct
import time
from pathlib import Path

import pytest

from tests.videos import bare_ffmpeg, colours, make_video
from workers.video import sandbox
from workers.video.ffmpeg import transcode
from workers.video.probe import VideoUnreadable, probe

WHITE = (250, 250, 250)


@pytest.fixture
def secret(tmp_path):
    """A video that is white, which nothing else here is."""
    return make_video(tmp_path / "secret.ts", picture="color=white")


@pytest.fixture
def target(tmp_path):
    (tmp_path / "done").mkdir()
    return tmp_path / "done/film.mp4"


def transcode_quietly(source, target):
    return transcode(source, target, target.with_suffix(".jpg"), report=lambda *_: None, time_limit=30)


def playlist(folder: Path, secret: Path) -> Path:
    path = folder / "film.m3u8"
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    return path


def concat_script(folder: Path, secret: Path) -> Path:
    path = folder / "film.concat"
    path.write_text(f"ffconcat version 1.0\nfile {secret.name}\n")
    return path


def numbered_pictures(folder: Path, secret: Path) -> Path:
    bare_ffmpeg("-i", secret, "-frames:v", 1, folder / "film1.jpg")
    path = folder / "film%d.jpg"
    path.write_bytes(b"not a picture")
    return path


@pytest.mark.parametrize("trick", [playlist, concat_script, numbered_pictures])
def test_a_file_that_names_another_file_is_rejected(trick, secret, target, tmp_path):
    hostile = trick(tmp_path, secret)
    assert min(colours(hostile)[0]) >= min(WHITE), "a bare ffmpeg follows it"

    with pytest.raises(VideoUnreadable):
        transcode_quietly(hostile, target)
    assert list(target.parent.iterdir()) == []


def test_a_drawing_that_names_another_file_is_rejected(target, tmp_path):
    drawing = tmp_path / "film.svg"
    drawing.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" width="64"'
        ' height="64"><image x:href="file:///etc/passwd" width="64" height="64"/></svg>'
    )
    assert colours(drawing), "a bare ffmpeg draws it"
    with pytest.raises(VideoUnreadable):
        transcode_quietly(drawing, target)


def test_the_network_is_not_reached(target, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        hostile = tmp_path / "film.m3u8"
        hostile.write_text(f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n")

        with pytest.raises(VideoUnreadable):
            transcode_quietly(hostile, target)
        with pytest.raises(BlockingIOError):
            server.accept()


def with_external_media(film_bytes: bytes, path: Path) -> bytes:
    """The same MOV with its pixels in the file at `path`, by a Macintosh alias record."""
    name = str(path).replace("/", ":").encode()
    name += b"\0" * (len(name) % 2)
    record = bytes(150) + struct.pack(">hH", 2, len(name)) + name + struct.pack(">hH", -1, 0)
    alias = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    old_at = film_bytes.index(b"url \0\0\0\1") - 4
    new = bytearray(film_bytes[:old_at] + alias + film_bytes[old_at + 12 :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        at = film_bytes.rindex(parent, 0, old_at) - 4
        struct.pack_into(">I", new, at, struct.unpack_from(">I", new, at)[0] + len(alias) - 12)
    return bytes(new)


def test_a_mov_with_its_pixels_in_another_file_does_not_get_them(target, tmp_path):
    black, hostile = tmp_path / "black.mov", tmp_path / "film.mov"
    size = {"picture": "color=black", "size": "32x32", "sound": False}
    make_video(black, "-c:v", "rawvideo", "-pix_fmt", "rgb24", **size)
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"\xff" * 100_000)
    hostile.write_bytes(with_external_media(black.read_bytes(), secret))
    follow = ("-enable_drefs", 1, "-use_absolute_path", 1)
    pixels = bare_ffmpeg(*follow, "-i", hostile, "-frames:v", 1, "-f", "rawvideo", "-")
    assert set(pixels) == {255}, "a bare ffmpeg that is told to follow it does"

    try:
        transcode_quietly(hostile, target)
    except VideoUnreadable:
        assert list(target.parent.iterdir()) == []
    else:
        assert colours(target)[0] < (50, 50, 50)


@pytest.fixture(scope="module")
def gigantic(tmp_path_factory):
    path = tmp_path_factory.mktemp("gigantic") / "film.mov"
    return make_video(path, "-frames:v", 1, size="8400x8200", picture="color=black", sound=False)


def test_a_gigantic_picture_is_rejected_with_its_size(gigantic, target):
    with pytest.raises(VideoUnreadable, match="8400 x 8200 pixels"):
        transcode_quietly(gigantic, target)


def test_the_decoder_rejects_a_gigantic_picture_without_the_probe(gigantic):
    run = sandbox.run(
        gigantic,
        ["-f", "null", "-"],
        deadline=time.monotonic() + 600,
        on_progress=lambda _: None,
    )
    assert run.returncode
    assert bare_ffmpeg("-i", gigantic, "-f", "null", "-") == b"", "a bare ffmpeg decodes it"


def test_a_harmless_video_of_the_same_kind_is_transcoded(secret, target, tmp_path):
    transcode_quietly(make_video(tmp_path / "film.ts", picture="color=blue"), target)
    assert probe(target).width == 160
    assert colours(target)[0] < (50, 50, 255)


HUNDRED_HOURS = 360_000


def forge_matroska(film: bytes) -> bytes:
    at = film.index(b"\x44\x89\x88") + 3
    return film[:at] + struct.pack(">d", HUNDRED_HOURS * 1000) + film[at + 8 :]


def forge_mp4(film: bytes) -> bytes:
    """In the header of the film, of each track, and in the edit lists."""
    forged = bytearray(film)
    for box, offset in ((b"mvhd", 16), (b"tkhd", 20), (b"mdhd", 16), (b"elst", 8)):
        scale_at = {b"mvhd": 12, b"mdhd": 12}.get(box)
        at = -1
        while (at := film.find(box, at + 1)) >= 0:
            scale = struct.unpack_from(">I", film, at + 4 + scale_at)[0] if scale_at else 1000
            struct.pack_into(">I", forged, at + 4 + offset, min(HUNDRED_HOURS * scale, 2**32 - 1))
    return bytes(forged)


def test_a_film_that_claims_hundred_hours_is_seen_through_before_it_is_converted(target, tmp_path):
    source = make_video(tmp_path / "film.mkv", seconds=5, sound=False)
    source.write_bytes(forge_matroska(source.read_bytes()))
    assert probe(source).duration == HUNDRED_HOURS
    stages = []

    with pytest.raises(VideoUnreadable, match=r"\(5 of 360000 seconds could be read\)"):
        transcode(source, target, target.with_suffix(".jpg"), report=lambda *p: stages.append(p), time_limit=30)

    assert {(total, stage) for _, total, stage in stages} == {(0, "looking at the file")}


def test_an_mp4_whose_headers_claim_hundred_hours_is_as_long_as_its_pictures(target, tmp_path):
    source = make_video(tmp_path / "film.mp4", seconds=5, sound=False)
    source.write_bytes(forge_mp4(source.read_bytes()))
    result = transcode_quietly(source, target)
    assert (result.before.duration, result.after.duration) == (pytest.approx(5, abs=0.1), pytest.approx(5, abs=0.1))


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_second_of_film_that_is_spread_over_58_hours_is_refused_with_its_hours(target, tmp_path, suffix):
    source = tmp_path / f"film.{suffix}"
    spread = ("-vf", f"setpts=N*{58 * 3600}/24/TB", "-fps_mode", "vfr", "-enc_time_base", "1:1000", "-bf", 0)
    make_video(source, *spread, "-frames:v", 25, rate=25, seconds=59 * 3600, sound=False)
    with pytest.raises(VideoUnreadable, match=r"lasts 5[78] hours"):
        transcode_quietly(source, target)
