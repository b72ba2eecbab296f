"""The formation: how many processes of each type run, on which size of dyno, by which line of the Procfile.

The Procfile says what a process is, app.json how many of it a new app gets. Once somebody has scaled the app, no file
knows any more: FORMATION in the environment says it, in the words of `heroku ps:scale`
(https://devcenter.heroku.com/articles/scaling). Checks, bill and connection budget all count from here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.conf import settings

from workers.capacity.process_files import read_app_formation, read_procfile

WORD = re.compile(r"(?P<name>\w+)=(?P<quantity>\d+)(:(?P<size>[\w-]+))?")


class InvalidFormation(ValueError):
    """FORMATION says what nobody can run; the text is for people."""


@dataclass(frozen=True)
class ProcessType:
    """A line of the Procfile, and what runs of it. quantity: dynos. size: of each, in small letters; "" if unknown."""

    name: str
    quantity: int
    size: str
    command: str

    @property
    def concurrency(self) -> int | None:
        """Tasks that each dyno of it runs at once; None if its line does not say, such as web's."""
        return self._number("concurrency")

    @property
    def recycled_at(self) -> int | None:
        """Bytes at which a process of its pool is replaced; None for never."""
        kilobytes = self._number("max-memory-per-child")
        return kilobytes * 1024 if kilobytes else None

    def _number(self, option: str) -> int | None:
        found = re.search(rf"--{option}[ =](\d+)", self.command)
        return int(found[1]) if found else None


def formation() -> dict[str, ProcessType]:
    """Every process type of the Procfile that stays up, by name, in the file's order. One that nobody runs has 0.

    Raises InvalidFormation for a FORMATION that is not like "web=2:standard-1x,default=1".
    """
    return _scaled(of_a_new_app(), settings.FORMATION)


def of_a_new_app() -> dict[str, ProcessType]:
    """The same by app.json alone, whatever FORMATION says."""
    given = read_app_formation() or {}
    found = {}
    for name, command in (read_procfile() or {}).items():
        if name != "release":
            wanted = given.get(name, {})
            found[name] = ProcessType(name, wanted.get("quantity", 0), wanted.get("size", "").lower(), command)
    return found


def _scaled(types: Mapping[str, ProcessType], words: str) -> dict[str, ProcessType]:
    """What `words` does not name stays as it is."""
    scaled = dict(types)
    for word in filter(None, map(str.strip, words.split(","))):
        found = WORD.fullmatch(word)
        if found is None:
            raise InvalidFormation(f'FORMATION: "{word}" is not of the form web=2 or web=2:standard-1x.')
        name, size = found["name"], (found["size"] or "").lower()
        if name not in scaled:
            raise InvalidFormation(f'FORMATION: the Procfile has no process type "{name}", only {", ".join(types)}.')
        scaled[name] = replace(scaled[name], quantity=int(found["quantity"]), size=size or scaled[name].size)
    return scaled
