"""Whether a file that is not UTF is plainly Western, so that nobody has to be asked how it is to be read.

The rule: read as Windows-1252, it has no letters but those of Danish, Dutch, English, Finnish, French, German, Italian,
Norwegian, Portuguese, Spanish and Swedish; no sign stands inside a word; never three letters with marks in a row; and
õ, which is the Hungarian ő of Windows-1250, only beside ã. Turkish, Greek, Central European, Cyrillic and Mac files
break it within a few rows, Icelandic ones too: they are asked about for nothing.
"""

import re
from itertools import pairwise

LETTERS = "ÄÖÜäöüßÀÂÆÇÈÉÊËÎÏÔŒÙÛàâæçèéêëîïôœùûÁÍÑÓÚáíñóúÃÕãõÅØåøÌÒìò"
OTHERS = "ŠŽšžŸÿÐðÝýÞþƒ\ufffd"  # the last for a byte that Windows-1252 does not have
INSIDE = "’‘´–—…·×\u00a0\u00ad"  # signs that do stand between two letters  # noqa: RUF001
_ALL = bytes(range(0x80, 0x100)).decode("windows-1252", "ignore")
_SIGNS = "".join(sign for sign in _ALL if sign not in LETTERS + OTHERS + INSIDE)
_FOREIGN = re.compile(rf"[{LETTERS}]{{3}}|(?<=[A-Za-z{LETTERS}])[{_SIGNS}](?=[A-Za-z{LETTERS}])")
# In Icelandic too, but a file with no other letters in doubt is rather Turkish.
_TURKISH = "ÐðÝýÞþ"


def is_western(text: str) -> bool:
    """Whether text that has been read as Windows-1252, undefined bytes replaced, was plainly meant so."""
    if has_other_letters(text) or _FOREIGN.search(text):
        return False
    return "õ" not in text.lower() or "ã" in text.lower()


def has_other_letters(text: str) -> bool:
    """The first part of the rule alone, which costs next to nothing."""
    return any(map(text.__contains__, OTHERS))


def may_be_turkish(text: str) -> bool:
    """Whether the same bytes in Windows-1254, which has six other letters, would leave nothing in doubt."""
    return is_western(re.sub(f"[{_TURKISH}]", "x", text))


def mojibake_score(text: str) -> int:
    """How often, in any alphabet, a sign stands between two letters, or a capital behind a small letter."""
    capitals = sum(first.islower() and second.isupper() for first, second in pairwise(text))
    return capitals + len(re.findall(rf"(?<=[^\W\d_])[^\w\s{INSIDE}\x00-\x7f](?=[^\W\d_])", text))
