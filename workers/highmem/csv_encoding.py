"""Which encoding a CSV file is in, told from all of its bytes.

A file in UTF-8 stays one when a few of its bytes are strays, pasted from an older file: they become �, and the import
rejects the rows that have one. Read as Windows-1252, such a file would have every umlaut wrong, without a word.
"""

import codecs
from collections.abc import Iterable
from itertools import chain

LOST = "\ufffd"  # what "replace" puts where bytes are not UTF-8
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
ERRORS = {"utf-8-sig": "replace", "utf-16": "strict", "windows-1252": "strict"}
# Windows-1252 has pairs that pass for UTF-8, such as the end of „Spaß“, but few among all its letters. A file that is
# half one and half the other is rather rejected in part than taken with half of its letters wrong.
STRAYS_PER_CHARACTER = 10


def find_encoding(blocks: Iterable[bytes], *, whole: bool = True) -> str:
    """One of the codecs in ERRORS, with the error handler to read it with.

    blocks: the file from its beginning. whole: up to its end, and so not cut inside a character.
    """
    following = iter(blocks)
    head = next(following, b"")
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    characters = strays = 0
    for block in chain([head], following, [b""]):
        text = decoder.decode(block, final=whole and not block)
        if not text.isascii():
            valid = text.encode("utf-8", "ignore").decode()
            strays += len(text) - len(valid)
            characters += len(valid) - len(valid.encode("ascii", "ignore"))
    return "windows-1252" if strays > characters * STRAYS_PER_CHARACTER else "utf-8-sig"
