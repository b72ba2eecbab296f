"""Films with parts that zlib has compressed, as QuickTime and mkvmerge write them, and our ffmpeg does not."""

import struct
import zlib
from collections.abc import Iterator

SEGMENT, CLUSTER, TRACKS, TRACK = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\xae"
BLOCK_GROUP, BLOCKS, POSITIONS = b"\xa0", (b"\xa1", b"\xa3"), (b"\x1c\x53\xbb\x6b", b"\x11\x4d\x9b\x74")
BLOCK_HEADER_BYTES = 4  # of a track whose number is below 128
# ContentEncodings: one of them, of the frames, by zlib.
ZLIB_ENCODING = bytes.fromhex("6d808e 62408b 503484 42548100 50328101")


def compress_header(film: bytes) -> bytes:
    """QuickTime's compressed movie header: `moov` has a `cmov`. All else stays in its place."""
    compressed, at = b"", 0
    while at < len(film):
        length = int.from_bytes(film[at : at + 4], "big")
        box = film[at : at + length]
        if box[4:8] == b"moov":
            packed = zlib.compress(box)
            data = _box(b"cmvd", struct.pack(">I", length) + packed)
            box = _box(b"moov", _box(b"cmov", _box(b"dcom", b"zlib") + data))
            box += _box(b"free", bytes(length - len(box) - 8))
        compressed += box
        at += length
    return compressed


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def compress_frames(film: bytes) -> bytes:
    """Matroska with the ContentCompression of each track. Without an index, whose positions would be wrong."""
    return b"".join(_element(identifier, _rewrite(identifier, content)) for identifier, content in _elements(film))


def _rewrite(identifier: bytes, content: bytes) -> bytes:
    if identifier in (SEGMENT, CLUSTER, BLOCK_GROUP, TRACKS):
        kept = [pair for pair in _elements(content) if pair[0] not in POSITIONS]
        return b"".join(_element(inner, _rewrite(inner, inside)) for inner, inside in kept)
    if identifier == TRACK:
        return content + ZLIB_ENCODING
    if identifier in BLOCKS:
        return content[:BLOCK_HEADER_BYTES] + zlib.compress(content[BLOCK_HEADER_BYTES:])
    return content


def _elements(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        id_bytes, size_bytes = _width(content[at]), _width(content[at + _width(content[at])])
        start = at + id_bytes + size_bytes
        size = int.from_bytes(content[at + id_bytes : start], "big") & ((1 << 7 * size_bytes) - 1)
        yield content[at : at + id_bytes], content[start : start + size]
        at = start + size


def _width(first: int) -> int:
    """Bytes of a number, by its first one."""
    return 9 - first.bit_length()


def _element(identifier: bytes, content: bytes) -> bytes:
    return identifier + (len(content) | 1 << 56).to_bytes(8, "big") + content
