"""What an uploaded file really is, by its content: a video or a CSV. Anything else is refused.

Asks for some 70 KB of however large a file. No library does it for us (docs/facts/tools.md#file-types).
"""

import codecs
import re
from enum import StrEnum
from typing import BinaryIO

from mediaapp.templatetags import words
from workers.csvimport.reading.encoding import ERRORS, guess_encoding

HEAD = 64 * 1024
MAX_BOXES = 200  # a fragmented MP4 has more, but its index comes first

# MP4, MOV, M4V, 3GP: a length, then one of the types that such a file begins with. A length made of
# letters is text: a CSV may well begin with "tax-free".
BOX = re.compile(rb"(?![ -~]{4}).{4}(ftyp|moov|mdat|wide|free|skip|pnot)", re.DOTALL)
AVI = re.compile(rb"RIFF.{4}AVI ", re.DOTALL)
MATROSKA = re.compile(rb"\x1a\x45\xdf\xa3")  # and WebM
OTHER_VIDEO = re.compile(
    rb"\x47(.{187}\x47){2}"  # MPEG-TS: a sync byte every 188 bytes
    rb"|.{4}\x47(.{191}\x47){2}"  # M2TS of camcorders: with a time before each packet
    rb"|\x00\x00\x01\xba"  # MPEG-PS (MPG, VOB)
    rb"|FLV\x01"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11"  # ASF (WMV)
    rb"|OggS",
    re.DOTALL,
)
PICTURE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ")
SPREADSHEET = re.compile(rb"PK\x03\x04|\xd0\xcf\x11\xe0")  # xlsx, ods, any zip; xls

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
SEPARATED = re.compile(rb"[,;\t|]")
MARKUP_OR_SCRIPT = re.compile(r"\s*(<|\{|\[|%PDF|#!|#EXTM3U|ffconcat)")

SAY_EMPTY = "The file is empty. Look at it on your own computer, then choose it again."
SAY_CUT_OFF = "The file stops before its end: {} of {} arrived. Copy it again from where you have it whole."
SAY_NO_INDEX = (
    "The video has no index: its recording or copying was broken off. Copy it again from where you have it whole."
)
SAY_PICTURE = "This is a picture. Upload a video or a CSV file."
SAY_SPREADSHEET = "This is a spreadsheet or an archive. Save the sheet as CSV, then upload that."
SAY_OTHER = "This is neither a video nor a CSV file, whatever its name says. Upload one of these."


class Kind(StrEnum):
    """What the site can process."""

    VIDEO = "video"
    CSV = "csv"


class UploadRejected(Exception):
    """The file is not accepted: `sentence` tells people why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def sniff(file: BinaryIO, size: int) -> Kind:
    """The kind of `file`, which has `size` bytes; leaves its position at 0. Raises UploadRejected."""
    file.seek(0)
    try:
        head = file.read(HEAD)
        if not head.strip():
            raise UploadRejected(SAY_EMPTY)
        if _is_video(head, file, size):
            return Kind.VIDEO
        if SPREADSHEET.match(head):
            raise UploadRejected(SAY_SPREADSHEET)
        if _is_table(head, whole=len(head) == size):
            return Kind.CSV
        raise UploadRejected(SAY_OTHER)
    finally:
        file.seek(0)


def _is_video(head: bytes, file: BinaryIO, size: int) -> bool:
    if BOX.match(head):
        _refuse_cut_off_boxes(file, size)
    elif AVI.match(head):
        _refuse_cut_off(size, _avi_end(head))
    elif MATROSKA.match(head):
        _refuse_cut_off(size, _matroska_end(head))
    else:
        return bool(OTHER_VIDEO.match(head))
    return True


def _refuse_cut_off(size: int, end: int) -> None:
    if size < end:
        raise UploadRejected(SAY_CUT_OFF.format(words.size(size), words.size(end)))


def _refuse_cut_off_boxes(file: BinaryIO, size: int) -> None:
    """Walk the top level of an MP4: it must hold an index (moov), and its boxes must be whole."""
    at, has_index = 0, False
    for _ in range(MAX_BOXES):
        file.seek(at)
        header = file.read(16)
        if len(header) < 8:
            break
        length, name = int.from_bytes(header[:4]), header[4:8]
        if name == b"ftyp" and header[8:12] in PICTURE_BRANDS:
            raise UploadRejected(SAY_PICTURE)
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length < 8:  # 0: to the end of the file
            length = size - at
        has_index |= name == b"moov"
        # Cameras append scribbles of their own: after the index, only what holds media counts.
        if not has_index or name in (b"moov", b"moof", b"mdat"):
            _refuse_cut_off(size, at + length)
        at += length
    if not has_index:
        raise UploadRejected(SAY_NO_INDEX)


def _avi_end(head: bytes) -> int:
    """The length that the header declares; a recorder that was broken off leaves 0 or all ones."""
    declared = int.from_bytes(head[4:8], "little")
    return 0 if declared == 0xFFFFFFFF else declared


def _matroska_end(head: bytes) -> int:
    """Where the segment after the header ends; 0 where that is not known (a live recording)."""
    header_length, at = _matroska_length(head, 4)
    at += header_length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    segment_length, at = _matroska_length(head, at + 4)
    return at + segment_length if segment_length else 0


def _matroska_length(head: bytes, at: int) -> tuple[int, int]:
    """The variable-length number at `at` (0: not known) and where the next thing begins."""
    width = 9 - head[at : at + 1].ljust(1)[0].bit_length()
    mask = (1 << 7 * width) - 1
    length = int.from_bytes(head[at : at + width]) & mask
    return (0 if length == mask else length), at + width


def _is_table(head: bytes, *, whole: bool) -> bool:
    """Text with a first line, in an encoding that the import may read, and not some other language."""
    text = _decode(head, whole=whole)
    if text is None or CONTROL.search(text) or MARKUP_OR_SCRIPT.match(text):
        return False
    return whole or len(text.splitlines()) > 1 or bool(SEPARATED.search(head))  # one line may name 10,000 columns


def _decode(head: bytes, *, whole: bool) -> str | None:
    encoding, is_sure = guess_encoding(head, whole=whole)
    if not (is_sure or encoding == "utf-8-sig" or SEPARATED.search(head)):
        return None
    encoding = encoding or "utf-8-sig"
    try:
        # Incremental: the head may end in the middle of a character.
        return codecs.getincrementaldecoder(encoding)(ERRORS[encoding]).decode(head, final=whole)
    except UnicodeDecodeError:
        return None
