"""The nine practices, one module each, all of one shape.

A module holds the mechanism (the few functions that the site's code calls), `check()` (is it set up right? a Django
system check, static) and `verify()` (does it hold right now? a Finding from live measurements), and nothing else.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a practice's verify() found.

    ok: None where it could not be measured. summary: the measurement with its unit. reason: a sentence, empty only
    where ok is True.
    """

    ok: bool | None
    summary: str
    reason: str = ""
