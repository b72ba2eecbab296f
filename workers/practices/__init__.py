"""The nine practices: a mechanism, `check()` (is it set up?) and `verify()` (does it hold now?), a module each.

Where the mechanism is part of another package, the docstring names its file.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """ok: None if it could not be measured. reason: a sentence, empty only if ok is True.

    figure: for the practice's chart, in the unit of registry.Practice.figure; None if unknown.
    """

    ok: bool | None
    summary: str
    reason: str = ""
    figure: float | None = None
