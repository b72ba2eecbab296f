"""A cell that a spreadsheet would run as a formula gets an apostrophe in front on its way out, and loses it on its
way in, so that mend-and-upload-again works.

See https://owasp.org/www-community/attacks/CSV_Injection.
"""

import re

_FORMULA = re.compile(r"\s*[=+\-@]|[\t\r]")
_DEFUSED = re.compile(r"'(?=\s*[=+\-@]|[\t\r])")


def defuse(cell: str) -> str:
    """The cell as text that no spreadsheet runs."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """The cell as it was before `defuse`."""
    return _DEFUSED.sub("", cell, count=1) if cell.startswith("'") else cell
