"""How many records of a file are replaced by a later one with the same key, in memory that does not grow with the file.

Eight bytes of a hash for each key go to one of a few temporary files by their value, so that equal keys meet in one;
at the end each file alone fits into memory. Two keys of a billion rows may share a hash; of a million, none do.
"""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO, Any

PARTS = 64
HELD = 4_096  # hashes of a part that wait in memory


class Keys:
    """The keys of a file's good records, one after the other."""

    def __init__(self, files: list[IO[bytes]]) -> None:
        self.files = files
        self.held = [array("q") for _ in files]

    def add(self, keys: Iterable[Any]) -> None:
        held = self.held
        for key in map(hash, map(str, keys)):  # of the text: -1 and -2 have one hash as numbers
            held[key % PARTS].append(key)
        for part, file in zip(held, self.files, strict=True):
            if len(part) > HELD:
                part.tofile(file)
                del part[:]

    def duplicates(self) -> int:
        """How many of the keys so far come again later. Nothing can be added any more."""
        return sum(map(self._duplicates_of, self.held, self.files))

    def _duplicates_of(self, held: "array[int]", file: IO[bytes]) -> int:
        file.seek(0)
        held.frombytes(file.read())
        count = len(held) - len(set(held))
        del held[:]
        return count


@contextmanager
def counted_keys() -> Iterator[Keys]:
    """Keys whose files are gone afterwards, whatever happens: they never had a name."""
    with ExitStack() as files:
        yield Keys([files.enter_context(TemporaryFile(buffering=0)) for _ in range(PARTS)])
