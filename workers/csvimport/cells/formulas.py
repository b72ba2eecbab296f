"""Escapes cells that a spreadsheet would run as formulas: https://owasp.org/www-community/attacks/CSV_Injection."""

import re

# A cell with apostrophes of its own gets one more, so that `unescape_formula` never takes off one of the owner's.
_FORMULA = re.compile(r"['\s]*[=+\-@]|'*[\t\r]")


def escape_formula(cell: str) -> str:
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """Only for a cell that went through `escape_formula`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
