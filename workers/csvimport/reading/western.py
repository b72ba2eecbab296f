"""Whether a file is plainly Western (docs/csv-files.md#why-a-library-and-where-not)."""

import re

LETTERS = "ÄÖÜäöüßÀÂÆÇÈÉÊËÎÏÔŒÙÛàâæçèéêëîïôœùûÁÍÑÓÚáíñóúÃÕãõÅØåøÌÒìò"
OTHER_LETTERS = "ŠŽšžŸÿÐðÝýÞþƒ\ufffd"  # the last for a byte that Windows-1252 does not have
JOINERS = "’‘´–—…·×\u00a0\u00ad"  # signs that stand between two letters  # noqa: RUF001
_NOT_WESTERN = re.compile(
    rf"[{LETTERS}]{{3}}|(?<=[A-Za-z{LETTERS}])[^\x00-\x7f{LETTERS}{JOINERS}](?=[A-Za-z{LETTERS}])"
)


def is_plainly_western(text: str) -> bool:
    """text: read as Windows-1252, with U+FFFD for its undefined bytes."""
    if has_other_letters(text) or _NOT_WESTERN.search(text):
        return False
    return "õ" not in text.lower() or "ã" in text.lower()


def has_other_letters(text: str) -> bool:
    return any(map(text.__contains__, OTHER_LETTERS))
