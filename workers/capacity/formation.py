"""The formation: how many dynos of which size run each line of the Procfile.

FORMATION overrides app.json for the process types that it names, in the syntax of `heroku ps:scale`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.conf import settings

from workers.capacity.process_files import read_app_formation, read_procfile

ITEM = re.compile(r"(?P<name>\w+)=(?P<quantity>\d+)(:(?P<size>[\w-]+))?")


class InvalidFormation(ValueError):
    """Its text is a sentence for operators."""


@dataclass(frozen=True)
class ProcessType:
    """quantity: dynos. size: in small letters; "" if unknown."""

    name: str
    quantity: int
    size: str
    command: str

    @property
    def concurrency(self) -> int | None:
        """None if the command does not say."""
        return self._number("concurrency")

    @property
    def recycled_at(self) -> int | None:
        """Bytes at which a pool process is replaced; None for never."""
        kilobytes = self._number("max-memory-per-child")
        return kilobytes * 1024 if kilobytes else None

    def _number(self, option: str) -> int | None:
        found = re.search(rf"--{option}[ =](\d+)", self.command)
        return int(found[1]) if found else None


def formation() -> dict[str, ProcessType]:
    """Every process type but release, in the Procfile's order. One that does not run has quantity 0.

    Raises InvalidFormation.
    """
    return _scale(initial_formation(), settings.FORMATION)


def initial_formation() -> dict[str, ProcessType]:
    """By app.json alone."""
    given = read_app_formation() or {}
    found = {}
    for name, command in (read_procfile() or {}).items():
        if name != "release":
            wanted = given.get(name, {})
            found[name] = ProcessType(name, wanted.get("quantity", 0), wanted.get("size", "").lower(), command)
    return found


def _scale(types: Mapping[str, ProcessType], formation: str) -> dict[str, ProcessType]:
    scaled = dict(types)
    for item in filter(None, map(str.strip, formation.split(","))):
        found = ITEM.fullmatch(item)
        if found is None:
            raise InvalidFormation(f'FORMATION: "{item}" is not of the form web=2 or web=2:standard-1x.')
        name, size = found["name"], (found["size"] or "").lower()
        if name not in scaled:
            raise InvalidFormation(f'FORMATION: the Procfile has no process type "{name}", only {", ".join(types)}.')
        scaled[name] = replace(scaled[name], quantity=int(found["quantity"]), size=size or scaled[name].size)
    return scaled
