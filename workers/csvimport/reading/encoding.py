"""Which encoding a CSV file is in: told from all of its bytes, or guessed from its beginning for a person to confirm.

A file in UTF-8 stays one when a few of its bytes are strays, pasted from an older file: they become �, and the import
rejects the rows that have one. Read as Windows-1252, such a file would have every umlaut wrong, without a word. A file
in an older encoding is read as Windows-1252 where it is plainly Western (western.py); of any other one the owner is
asked, with the answer of charset-normalizer as the guess (docs/csv-files.md#why-a-library-and-where-not).
"""

import codecs
from collections.abc import Iterable
from itertools import chain

from charset_normalizer import from_bytes

from workers.csvimport.reading.western import is_plainly_western

LOST = "\ufffd"  # what "replace" puts where bytes are not of the encoding
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# Those that a file is taken for without a word, each with its error handler, and those that somebody has to confirm.
KNOWN = {
    "utf-8-sig": "replace",
    "windows-1252": "strict",
    "utf-16": "strict",
    "utf-16-le": "strict",
    "utf-16-be": "strict",
}
OLDER = ("cp1250", "cp1251", "cp1253", "cp1254", "mac_roman", "cp850", "shift_jis", "gb18030", "big5", "euc_kr")
ERRORS = KNOWN | dict.fromkeys(OLDER, "replace")
# Windows-1252 has pairs that pass for UTF-8, such as the end of „Spaß“, but few among all its letters. Where neither
# kind is so much more than the other, somebody has to say. An import that nobody was asked about takes UTF-8: it rather
# rejects a part of the rows than takes half of their letters wrong.
MUCH_MORE = 10
SAMPLE = 1 << 14  # bytes that the library looks at: 5 ms


def guess_encoding(head: bytes, *, whole: bool) -> tuple[str, bool]:
    """What a file that begins like this is read as, "" where its beginning is plain ASCII, and whether that is sure."""
    encoding = find_encoding([head], whole=whole)
    if encoding == "utf-8-sig" and head.isascii():
        return "", True
    if encoding in ("utf-16", "utf-16-le", "utf-16-be") or head.startswith(codecs.BOM_UTF8):
        return encoding, True
    characters, strays = _letters(iter([head]), whole=whole)
    if strays <= characters:
        return encoding, strays * MUCH_MORE <= characters
    letters = b"\n".join(line for line in head.splitlines() if not line.isascii())
    if is_plainly_western(letters.decode("windows-1252", "replace")):
        return "windows-1252", encoding == "windows-1252"
    return _guess_older(letters[:SAMPLE]), False


def _guess_older(letters: bytes) -> str:
    """charset-normalizer's answer, OLDER's first where it has none, Windows-1252 where that has the same letters."""
    best = from_bytes(letters, cp_isolation=list(OLDER)).best()
    encoding = best.encoding if best else OLDER[0]
    is_same = letters.decode(encoding, "replace") == letters.decode("windows-1252", "ignore")
    return "windows-1252" if is_same else encoding


def find_encoding(blocks: Iterable[bytes], *, whole: bool = True) -> str:
    """One of the codecs in KNOWN, with the error handler to read it with.

    blocks: the file from its beginning. whole: up to its end, and so not cut inside a character.
    """
    following = iter(blocks)
    head = next(following, b"")
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    if wide := _wide(head):
        return wide
    characters, strays = _letters(chain([head], following), whole=whole)
    return "windows-1252" if strays > characters * MUCH_MORE else "utf-8-sig"


def _wide(head: bytes) -> str:
    """UTF-16 without a mark: its ASCII, line ends at least, has a NUL on one side, always the same. Or ""."""
    first, second = head[0::2].count(0), head[1::2].count(0)
    few, many = sorted((first, second))
    encoding, end = ("utf-16-be", b"\0\n") if first > second else ("utf-16-le", b"\n\0")
    is_wide = many * 20 > len(head) / 2 and few * 20 <= many and head.count(end) * 2 > head.count(b"\n")
    return encoding if is_wide else ""


def _letters(blocks: Iterable[bytes], *, whole: bool) -> tuple[int, int]:
    """How many characters beyond ASCII it has, read as UTF-8, and how many bytes that are none."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    characters = strays = 0
    for block in chain(blocks, [b""]):
        text = decoder.decode(block, final=whole and not block)
        if not text.isascii():
            valid = text.encode("utf-8", "ignore").decode()
            strays += len(text) - len(valid)
            characters += len(valid) - len(valid.encode("ascii", "ignore"))
    return characters, strays
