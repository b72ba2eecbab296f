"""The nine practices, one module each, all of one shape.

A module holds the mechanism (the few functions that the site's code calls), `check()` (is it set up right? a Django
system check, static) and `verify()` (does it hold right now? a Finding from live measurements), and nothing else.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What a practice's verify() found.

    holds: True, False, or None where it could not be measured.
    figure: the measurement, with its unit. why: a sentence, always given unless all is well.
    """

    holds: bool | None
    figure: str
    why: str = ""
