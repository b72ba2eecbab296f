"""QuickTime's compressed header, which ffprobe cannot read without zlib (docs/facts/tools.md#video-probe)."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

MAX_HEADER_BYTES = 32 * 1024**2  # of 24 hours at 25 pictures a second
MAX_BOXES = 200
CHUNK_BYTES = 1024**2
BOX = struct.Struct(">I4s")
COMPRESSED = struct.Struct(">I4sI4s4sI4sI")  # cmov, its dcom with the method, its cmvd with the header's length


def inflate_header(source: Path, folder: Path, on_tick: Callable[[], None]) -> Path:
    """The source itself, unless its header is compressed: then a copy in `folder` with a plain one at the end.

    on_tick is called at least twice a second; what it raises ends the copying.
    """
    with source.open("rb") as file:
        at = _find_header(file)
        header = _read_header(file, at) if at is not None else b""
        if at is None or not header:
            return source
        file.seek(0)
        with (folder / "source").open("wb") as copy:
            while chunk := file.read(CHUNK_BYTES):
                copy.write(chunk)
                on_tick()
            copy.write(header)
            copy.seek(at + 4)
            copy.write(b"free")  # nothing else moves: the header has the positions of all frames
    return folder / "source"


def _find_header(file: BinaryIO) -> int | None:
    at = 0
    for _ in range(MAX_BOXES):
        file.seek(at)
        start = file.read(BOX.size + 8)
        if len(start) < BOX.size:
            return None
        length, kind = BOX.unpack_from(start)
        if kind == b"moov":
            return at
        if length == 1:
            length = int.from_bytes(start[BOX.size :], "big")
        if length < BOX.size:  # or up to the end
            return None
        at += length
    return None


def _read_header(file: BinaryIO, at: int) -> bytes:
    """Empty if it is not compressed, or too large, or damaged."""
    file.seek(at + BOX.size)
    start = file.read(COMPRESSED.size)
    if len(start) < COMPRESSED.size:
        return b""
    _, cmov, _, dcom, method, data_bytes, cmvd, _ = COMPRESSED.unpack(start)
    if (cmov, dcom, method, cmvd) != (b"cmov", b"dcom", b"zlib", b"cmvd"):
        return b""
    compressed = file.read(min(data_bytes, MAX_HEADER_BYTES))
    inflate = zlib.decompressobj()
    try:
        header = inflate.decompress(compressed, MAX_HEADER_BYTES)
    except zlib.error:
        return b""
    return header if inflate.eof and header[4:8] == b"moov" else b""
