"""Detects by its content whether an uploaded file is a video or a CSV.

No library does this (docs/facts/tools.md#file-types).
"""

import codecs
import re
from typing import BinaryIO

from mediaapp.models import Upload
from workers.byte_format import format_bytes
from workers.csvimport.reading.encoding import ERROR_HANDLERS, guess_encoding
from workers.csvimport.reading.text import strip_dos_end

HEAD_BYTES = 64 * 1024
MAX_BOXES = 200  # a fragmented MP4 has more, but its index is among the first

# MP4, MOV, M4V, 3GP: a length of four bytes, then the type of the first box. Four printable bytes are no length:
# a CSV may begin with "tax-free".
MP4_BOX = re.compile(rb"(?![ -~]{4}).{4}(ftyp|moov|mdat|wide|free|skip|pnot)", re.DOTALL)
AVI = re.compile(rb"RIFF.{4}AVI ", re.DOTALL)
MATROSKA = re.compile(rb"\x1a\x45\xdf\xa3")  # and WebM
OTHER_VIDEO = re.compile(
    rb"\x47(.{187}\x47){2}"  # MPEG-TS: a sync byte every 188 bytes
    rb"|.{4}\x47(.{191}\x47){2}"  # M2TS of camcorders: four bytes of time before each packet
    rb"|\x00\x00\x01\xba"  # MPEG-PS (MPG, VOB)
    rb"|FLV\x01"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # ASF (WMV)
    rb"|OggS",
    re.DOTALL,
)
PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ")
PICTURE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF.{4}WEBP|II\x2a\x00|MM\x00\x2a|BM.{4}\0{4}|\x00\x00\x01\x00",
    re.DOTALL,
)  # PNG, JPEG, GIF, WebP, TIFF and raw photographs, BMP, icons
SPREADSHEET = re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0")  # xlsx, ods, any zip; xls

MAX_CONTROLS, MAX_CONTROL_SHARE = 2, 0.02  # stray ones cost their rows, and not the file
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0e-\x1f]")
SEPARATOR = re.compile(rb"[,;\t|]")
MARKUP_OR_SCRIPT = re.compile(r"\s*(<|\{|\[|%PDF|#!|#EXTM3U|ffconcat)")

EMPTY_MESSAGE = "The file is empty. Look at it on your own computer, then choose it again."
TRUNCATED_MESSAGE = "The file stops before its end: {} of {} arrived. Copy it again from where you have it whole."
NO_INDEX_MESSAGE = (
    "The video has no index: its recording or copying was broken off. Copy it again from where you have it whole."
)
PICTURE_MESSAGE = "This is a picture. Upload a video or a CSV file."
SPREADSHEET_MESSAGE = "This is a spreadsheet or an archive. Save the sheet as CSV, then upload that."
UNKNOWN_TYPE_MESSAGE = "This is neither a video nor a CSV file, whatever its name says. Upload one of these."


class UploadRejected(Exception):
    """`sentence` tells the user why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def detect_kind(file: BinaryIO, size: int) -> Upload.Kind:
    """Raises UploadRejected. The file's position is 0 afterwards."""
    file.seek(0)
    try:
        head = file.read(HEAD_BYTES)
        if not head.strip():
            raise UploadRejected(EMPTY_MESSAGE)
        if _is_video(head, file, size):
            return Upload.Kind.VIDEO
        if PICTURE.match(head):
            raise UploadRejected(PICTURE_MESSAGE)
        if SPREADSHEET.match(head):
            raise UploadRejected(SPREADSHEET_MESSAGE)
        if _is_csv(head, is_whole_file=len(head) == size):
            return Upload.Kind.CSV
        raise UploadRejected(UNKNOWN_TYPE_MESSAGE)
    finally:
        file.seek(0)


def _is_video(head: bytes, file: BinaryIO, size: int) -> bool:
    if MP4_BOX.match(head):
        _reject_truncated_mp4(file, size)
    elif AVI.match(head):
        _reject_truncated(size, _avi_end(head))
    elif MATROSKA.match(head):
        _reject_truncated(size, _matroska_end(head))
    else:
        return bool(OTHER_VIDEO.match(head))
    return True


def _reject_truncated(size: int, end: int) -> None:
    if size < end:
        arrived, whole = format_bytes(size), format_bytes(end)
        if arrived == whole:
            arrived, whole = f"{size:,}", f"{end:,} bytes"
        raise UploadRejected(TRUNCATED_MESSAGE.format(arrived, whole))


def _reject_truncated_mp4(file: BinaryIO, size: int) -> None:
    offset, has_index = 0, False
    for _ in range(MAX_BOXES):
        file.seek(offset)
        header = file.read(16)
        if len(header) < 8:
            break
        length, name = int.from_bytes(header[:4]), header[4:8]
        if name == b"ftyp" and header[8:12] in PICTURE_BRANDS:
            raise UploadRejected(PICTURE_MESSAGE)
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8:  # 0: to the end of the file
            length = size - offset
        has_index |= name == b"moov"
        # Cameras append bytes of their own. After the index, only boxes with media must be complete.
        if not has_index or name in (b"moov", b"moof", b"mdat"):
            _reject_truncated(size, offset + length)
        offset += length
    if not has_index:
        raise UploadRejected(NO_INDEX_MESSAGE)


def _avi_end(head: bytes) -> int:
    """0 if the recording was interrupted."""
    declared = int.from_bytes(head[4:8], "little")
    return 0 if declared == 0xFFFFFFFF else declared


def _matroska_end(head: bytes) -> int:
    """0 if it is unknown, as in a live recording."""
    header_length, offset = _matroska_length(head, 4)
    offset += header_length
    if head[offset : offset + 4] != b"\x18\x53\x80\x67":
        return 0
    segment_length, offset = _matroska_length(head, offset + 4)
    return offset + segment_length if segment_length else 0


def _matroska_length(head: bytes, offset: int) -> tuple[int, int]:
    """The variable-length number at the offset (0: unknown), and the offset after it."""
    width = 9 - head[offset : offset + 1].ljust(1)[0].bit_length()
    mask = (1 << 7 * width) - 1
    length = int.from_bytes(head[offset : offset + width]) & mask
    return (0 if length == mask else length), offset + width


def _is_csv(head: bytes, *, is_whole_file: bool) -> bool:
    text = _decode(head, is_whole_file=is_whole_file)
    if text is None or MARKUP_OR_SCRIPT.match(text):
        return False
    if len(CONTROL_CHARACTER.findall(strip_dos_end(text))) > max(MAX_CONTROLS, len(text) * MAX_CONTROL_SHARE):
        return False
    return (
        is_whole_file or len(text.splitlines()) > 1 or bool(SEPARATOR.search(head))
    )  # a header may have 10,000 columns


def _decode(head: bytes, *, is_whole_file: bool) -> str | None:
    encoding, is_sure = guess_encoding(head, is_whole=is_whole_file)
    if not (is_sure or encoding == "utf-8-sig" or SEPARATOR.search(head)):
        return None
    encoding = encoding or "utf-8-sig"
    try:
        # Incremental: the head may end in the middle of a character.
        return codecs.getincrementaldecoder(encoding)(ERROR_HANDLERS[encoding]).decode(head, final=is_whole_file)
    except UnicodeDecodeError:
        return None
