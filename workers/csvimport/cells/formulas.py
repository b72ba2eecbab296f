"""A cell that a spreadsheet would run as a formula gets an apostrophe in front on its way out, and loses it on its
way back in, so that mend-and-upload-again works.

See https://owasp.org/www-community/attacks/CSV_Injection.
"""

import re

# With apostrophes of its own in front, a cell gets one more: the one that `unescape_formula` takes off is always ours.
_FORMULA = re.compile(r"['\s]*[=+\-@]|'*[\t\r]")


def escape_formula(cell: str) -> str:
    """The cell as text that no spreadsheet runs."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The cell as it was before `escape_formula`, which it must have been through."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
