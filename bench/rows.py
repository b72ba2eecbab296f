"""A line of the table: a figure beside its bar."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """what: the thing measured. figure: in `unit`; "x" is a ratio of two measurements of one run.

    at_least, at_most: the bar; neither for a figure that only explains another one. note: what a reader must know.
    """

    what: str
    figure: float
    unit: str = "x"
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """None where there is no bar."""
        if self.at_least is not None:
            return self.figure >= self.at_least
        return self.figure <= self.at_most if self.at_most is not None else None

    @property
    def wanted(self) -> str:
        """The bar in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g} {self.unit}".rstrip()
        return f"at most {self.at_most:g} {self.unit}".rstrip() if self.at_most is not None else ""
