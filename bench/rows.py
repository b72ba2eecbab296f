"""A row of the table: a figure and its bar."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """figure: in `unit`; "x" is a ratio of two measurements of one run.

    at_least, at_most: the bar; neither for a figure that only explains another one. note: what the figure needs to be
    understood.
    """

    label: str
    figure: float
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """None without a bar."""
        if self.at_least is not None:
            return self.figure >= self.at_least
        return self.figure <= self.at_most if self.at_most is not None else None

    @property
    def bar(self) -> str:
        if self.at_least is not None:
            return f"at least {self.at_least:g} {self.unit}".rstrip()
        return f"at most {self.at_most:g} {self.unit}".rstrip() if self.at_most is not None else ""
