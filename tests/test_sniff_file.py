"""The site detects what an uploaded file is: by its content, not by its name."""

import io
import random
import struct

import pytest

from mediaapp.models import Upload
from mediaapp.uploads.filetypes import UploadRejected, detect_kind
from tests.videos import bare_ffmpeg, make_video

TABLE = "sku;name;price\n1;Käse;2,50\n"


def kind_of_bytes(content: bytes) -> Upload.Kind:
    return detect_kind(io.BytesIO(content), len(content))


def kind_of_path(path) -> Upload.Kind:
    with path.open("rb") as file:
        return detect_kind(file, path.stat().st_size)


class CountingFile(io.BytesIO):
    """Counts the bytes that are read."""

    bytes_read = 0

    def read(self, size=-1):
        assert size > 0
        self.bytes_read += size
        return super().read(size)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "m4v", "3gp", "mkv", "avi", "ts", "m2ts", "mpg", "flv", "wmv"])
def test_every_common_container_is_a_video(tmp_path, suffix):
    options = {
        "3gp": ("-ar", 8000, "-c:a", "aac"),
        "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2", "-r", 25),
        "flv": ("-ar", 44100),
        "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    }
    path = make_video(tmp_path / f"film.{suffix}", *options.get(suffix, ()), seconds=0.5)
    assert kind_of_path(path) is Upload.Kind.VIDEO


def test_webm_and_ogg_are_videos_too(tmp_path):
    webm = make_video(tmp_path / "f.webm", "-c:v", "libvpx", "-c:a", "libopus", seconds=0.5)
    ogg = make_video(tmp_path / "f.ogv", "-c:v", "libtheora", "-c:a", "libvorbis", seconds=0.5)
    assert kind_of_path(webm) is kind_of_path(ogg) is Upload.Kind.VIDEO


def test_an_avi_named_mp4_is_a_video(tmp_path):
    avi = make_video(tmp_path / "f.avi")
    assert kind_of_path(avi.rename(tmp_path / "f.mp4")) is Upload.Kind.VIDEO


def test_fragmented_and_live_videos_are_videos(tmp_path):
    source = make_video(tmp_path / "f.mp4")
    fragments = ("-movflags", "frag_keyframe+empty_moov")
    for options in (("-f", "mp4", *fragments), ("-f", "matroska", "-live", 1)):
        assert kind_of_bytes(bare_ffmpeg("-i", source, "-c", "copy", *options, "-")) is Upload.Kind.VIDEO


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("rows", [1, 10_000])
def test_tables_in_every_encoding_of_the_import_are_csv(encoding, rows):
    assert kind_of_bytes((TABLE * rows).encode(encoding)) is Upload.Kind.CSV


@pytest.mark.parametrize("shift", range(4))
def test_a_character_at_the_end_of_the_read_bytes_may_be_cut(shift):
    text = "name\n" + "x" * shift + "🧀\n" * 30_000
    assert kind_of_bytes(text.encode()) is Upload.Kind.CSV
    assert kind_of_bytes(text.encode("utf-16")) is Upload.Kind.CSV


def test_an_invalid_byte_in_a_utf8_file_is_left_to_the_import():
    assert kind_of_bytes("name\nTür\n".encode() + b"\x81\n") is Upload.Kind.CSV


def test_a_truncated_video_names_the_bytes_that_arrived():
    with pytest.raises(UploadRejected, match=r"900 bytes of 5 MB arrived"):
        kind_of_bytes((struct.pack(">I4s", 5_000_000, b"moov")).ljust(900, b"\0"))


def test_a_video_that_lacks_its_last_bytes_names_them_all():
    with pytest.raises(UploadRejected, match=r"4,999,900 of 5,000,000 bytes arrived"):
        kind_of_bytes((struct.pack(">I4s", 5_000_000, b"moov")).ljust(4_999_900, b"\0"))


@pytest.mark.parametrize("stray", [b"\x00", b"\x1a", b"\x07"])
def test_a_stray_control_character_in_a_table_is_left_to_the_import(stray):
    for table in (
        TABLE.encode() + b"2;Br" + stray + b"ot;3\n",
        stray + TABLE.encode(),
        TABLE.encode() * 100 + stray * 40,
    ):
        assert kind_of_bytes(table) is Upload.Kind.CSV


@pytest.mark.parametrize("end", [b"\x1a", b"\r\n\x1a", b"\x1a" * 100, b"\x1a" + bytes(127)])
def test_a_table_with_the_end_of_a_program_of_dos_is_csv(end):
    assert kind_of_bytes(TABLE.encode() + end) is Upload.Kind.CSV


@pytest.mark.parametrize("header", ["tax-free,price", "the moov;b", "sku", '"a\nb"\tc', "   ,a"])
def test_unusual_headers_are_csv(header):
    assert kind_of_bytes(f"{header}\n1,2\n".encode()) is Upload.Kind.CSV


@pytest.mark.parametrize(
    "content",
    [
        b"MZ\x90\x00\x03\x00\x00\x00" + bytes(500),
        b"\x7fELF\x02\x01\x01" + bytes(500),
        b"%PDF-1.7\n1 0 obj\n",
        b"<!DOCTYPE html>\n<p>a,b\n",
        b'\n<?xml version="1.0"?>\n<a/>\n',
        b'{"a": 1,\n"b": 2}\n',
        b'[{"a": 1}]\n',
        b"#!/bin/sh\nrm -rf /\n",
        b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        b"\xef\xbb\xbf#EXTM3U\nfilm.ts\n",
        b"ffconcat version 1.0\nfile secret.mp4\n",
        b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100),
        b"a,b\n1,\x00\n" * 30,
        b"\x81\x8d\x8f\n",
        b"x" * 100_000,
        random.Random(2).randbytes(3000),
    ],
)
def test_any_other_file_is_rejected(content):
    with pytest.raises(UploadRejected, match="neither a video nor a CSV"):
        kind_of_bytes(content)


@pytest.mark.parametrize("content", [b"", b"\n \r\n"])
def test_an_empty_file_is_rejected(content):
    with pytest.raises(UploadRejected, match="file is empty"):
        kind_of_bytes(content)


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_spreadsheet_is_rejected_with_advice(start):
    with pytest.raises(UploadRejected, match="Save the sheet as CSV"):
        kind_of_bytes(start + bytes(100))


@pytest.mark.parametrize(
    "start",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"II*\0",
        b"BM\x36\x10\0\0\0\0\0\0",
    ],
)
def test_a_picture_is_rejected_as_one(start):
    with pytest.raises(UploadRejected, match="This is a picture"):
        kind_of_bytes(start + random.Random(3).randbytes(3000))


@pytest.mark.parametrize("header", ["BMW;price", "GIF;size", "II*;b", "MM;x"])
def test_a_header_that_begins_as_a_picture_is_csv(header):
    assert kind_of_bytes(f"{header}\n1;2\n".encode()) is Upload.Kind.CSV


def test_a_heic_photograph_is_rejected():
    with pytest.raises(UploadRejected, match="is a picture"):
        kind_of_bytes(struct.pack(">I4s4s12x", 24, b"ftyp", b"heic") + bytes(100))


@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_video_is_rejected(tmp_path, suffix, kept):
    whole = make_video(tmp_path / f"film.{suffix}", seconds=2).read_bytes()
    assert kind_of_bytes(whole) is Upload.Kind.VIDEO
    with pytest.raises(UploadRejected, match=r"stops before its end: .* of .* arrived|has no index"):
        kind_of_bytes(whole[: int(len(whole) * kept)])


def test_a_truncated_video_with_its_index_in_front_is_rejected(tmp_path):
    whole = make_video(tmp_path / "film.mp4", "-movflags", "+faststart", seconds=2).read_bytes()
    with pytest.raises(UploadRejected, match="stops before its end"):
        kind_of_bytes(whole[:-100])


def test_bytes_that_a_camera_appends_are_accepted(tmp_path):
    whole = make_video(tmp_path / "film.mp4").read_bytes()
    for appended in (b"\0", bytes(1000), b"8db42d694ccc418790edff439fe026bf"):
        assert kind_of_bytes(whole + appended) is Upload.Kind.VIDEO


@pytest.mark.parametrize("kind", ["film", "table", "refused"])
def test_the_detection_reads_little_and_rewinds_the_file(tmp_path, kind):
    content = {
        "film": make_video(tmp_path / "f.mp4", "-movflags", "frag_every_frame+empty_moov").read_bytes(),
        "table": TABLE.encode() * 100_000,
        "refused": bytes(3_000_000),
    }[kind]
    file = CountingFile(content)
    file.seek(17)
    try:
        detect_kind(file, len(content))
    except UploadRejected:
        assert kind == "refused"
    assert file.bytes_read <= 100_000
    assert file.tell() == 0
