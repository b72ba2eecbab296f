"""The encoding of a CSV file.

A UTF-8 file with a few stray bytes must stay UTF-8, or all of its umlauts would be wrong.
See docs/csv-files.md#why-a-library-and-where-not.
"""

import codecs
from collections.abc import Iterable
from itertools import chain

from charset_normalizer import from_bytes

from workers.csvimport.reading.western import is_plainly_western

REPLACEMENT = "\ufffd"  # what the error handler "replace" puts where bytes are not of the encoding
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
LEGACY = ("cp1250", "cp1251", "cp1253", "cp1254", "mac_roman", "cp850", "shift_jis", "gb18030", "big5", "euc_kr")
# find_encoding() returns one of the first five. A file in any other encoding waits for its owner.
ERROR_HANDLERS = {
    "utf-8-sig": "replace",
    "windows-1252": "strict",
    "utf-16": "strict",
    "utf-16-le": "strict",
    "utf-16-be": "strict",
    **dict.fromkeys(LEGACY, "replace"),
}
# Windows-1252 has pairs that are valid UTF-8, such as the end of „Spaß“, but few among all its letters. Where neither
# kind is CLEAR_RATIO times the other, guess_encoding() is not certain, and find_encoding() takes UTF-8.
CLEAR_RATIO = 10
SAMPLE_BYTES = 1 << 14  # charset-normalizer takes 5 ms for them


def guess_encoding(head: bytes, *, is_whole: bool) -> tuple[str, bool]:
    """The encoding, "" for plain ASCII, and whether it is certain. is_whole: the head is the whole file."""
    encoding = find_encoding([head], is_whole=is_whole)
    if encoding == "utf-8-sig" and head.isascii():
        return "", True
    if encoding.startswith("utf-16") or head.startswith(codecs.BOM_UTF8):
        return encoding, True
    characters, strays = _count_beyond_ascii([head], is_whole=is_whole)
    if strays <= characters:
        return encoding, strays * CLEAR_RATIO <= characters
    letters = b"\n".join(line for line in head.splitlines() if not line.isascii())
    if is_plainly_western(letters.decode("windows-1252", "replace")):
        return "windows-1252", encoding == "windows-1252"
    return _guess_legacy(letters[:SAMPLE_BYTES]), False


def find_encoding(blocks: Iterable[bytes], *, is_whole: bool = True) -> str:
    """blocks: from the file's beginning; is_whole: to its end."""
    following = iter(blocks)
    head = next(following, b"")
    for bom, encoding in BOMS.items():
        if head.startswith(bom):
            return encoding
    if utf16 := _find_utf16(head):
        return utf16
    characters, strays = _count_beyond_ascii(chain([head], following), is_whole=is_whole)
    return "windows-1252" if strays > characters * CLEAR_RATIO else "utf-8-sig"


def _guess_legacy(letters: bytes) -> str:
    best = from_bytes(letters, cp_isolation=list(LEGACY)).best()
    encoding = best.encoding if best else LEGACY[0]
    is_same = letters.decode(encoding, "replace") == letters.decode("windows-1252", "ignore")
    return "windows-1252" if is_same else encoding


def _find_utf16(head: bytes) -> str:
    """Without a BOM: the NULs of its ASCII are always on the same side."""
    first, second = head[0::2].count(0), head[1::2].count(0)
    few, many = sorted((first, second))
    encoding, end = ("utf-16-be", b"\0\n") if first > second else ("utf-16-le", b"\n\0")
    is_utf16 = many * 20 > len(head) / 2 and few * 20 <= many and head.count(end) * 2 > head.count(b"\n")
    return encoding if is_utf16 else ""


def _count_beyond_ascii(blocks: Iterable[bytes], *, is_whole: bool) -> tuple[int, int]:
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    characters = strays = 0
    for block in chain(blocks, [b""]):
        text = decoder.decode(block, final=is_whole and not block)
        if not text.isascii():
            valid = text.encode("utf-8", "ignore").decode()
            strays += len(text) - len(valid)
            characters += len(valid) - len(valid.encode("ascii", "ignore"))
    return characters, strays
