"""Escapes cells that a spreadsheet would run as formulas: https://owasp.org/www-community/attacks/CSV_Injection.

A spreadsheet that splits at another delimiter than the file's sees a new cell behind each delimiter inside a cell, and
behind each line end. So an apostrophe goes to the beginning of each such part.
"""

import re

SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫"  # noqa: RUF001 - spreadsheets of East Asia read the wide and small ones too
DELIMITERS = ",;\t|\r\n"
# What may stand before the sign: quotes, blanks, and characters without width or picture.
_UNSEEN = (
    "\\x00-\\x08\\x0e-\\x1f\\x7f-\\x9f\\xad\u034f\u061c\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
_BLANKS = " \x0b\x0c\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Possessive, so that the time is linear. No delimiter is among them: behind each one begins a part of its own.
_FORMULA = rf"[\"'{_BLANKS}{_UNSEEN}]*+[{SIGNS}]"
_START = rf"(?:^(?={_FORMULA}|'*+[\t\r])|(?<=[{DELIMITERS}])(?={_FORMULA}))"
_ESCAPE, _UNESCAPE = re.compile(_START), re.compile(_START + "'")


def escape_formula(cell: str) -> str:
    """A part with apostrophes of its own gets one more, and `unescape_formula` takes off none of the owner's."""
    return _ESCAPE.sub("'", cell)


def unescape_formula(cell: str) -> str:
    """Only for a cell that went through `escape_formula`."""
    return _UNESCAPE.sub("", cell)
