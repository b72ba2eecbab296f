"""Is every kind of film converted, and does every damaged one end? `python -m labs convert_films [damaged films]`.

None of a hundred kinds may be refused, and each keeps its length. Films that were damaged by chance become films or
end with a sentence; any other error ends the lab.
"""

import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.film_formats import FORMATS, write_film
from workers.video import sandbox
from workers.video.ffmpeg import transcode

TIME_LIMIT_SECONDS = 60
MAX_DIFFERENCE_SECONDS = 0.3


@dataclass(frozen=True)
class Outcome:
    """sentence: empty if there is a film. seconds: of the source and of the film."""

    sentence: str
    before: float = 0.0
    after: float = 0.0

    @property
    def keeps_length(self) -> bool:
        return abs(self.before - self.after) <= MAX_DIFFERENCE_SECONDS


def convert(source: Path, folder: Path) -> Outcome:
    """Raises what is no VideoError: a fault of ours."""
    target = folder / "film.mp4"
    try:
        done = transcode(source, target, folder / "film.jpg", report=lambda *_: None, time_limit=TIME_LIMIT_SECONDS)
    except sandbox.VideoError as error:
        return Outcome(error.sentence)
    return Outcome("", done.before.duration, done.after.duration)


def damage(content: bytes, chance: random.Random) -> bytes:
    """Cut off, with bytes changed, a part zeroed, left out or doubled, or of another file's header."""
    damaged, at = bytearray(content), chance.randrange(len(content))
    length = min(len(content) - at, chance.choice((1, 16, 500, 20_000)))
    match chance.randrange(6):
        case 0:
            del damaged[at:]
        case 1:
            for _ in range(chance.choice((1, 10, 200))):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        case 2:
            damaged[at : at + length] = bytes(length)
        case 3:
            del damaged[at : at + length]
        case 4:
            damaged[at:at] = damaged[at : at + length]
        case 5:
            damaged[: length % 64] = chance.randbytes(length % 64)
    return bytes(damaged)


def main() -> int:
    """Print the figures as JSON. Returns 1 if a kind is refused or changes its length."""
    rounds = int(sys.argv[1]) if sys.argv[1:] else 300
    chance, wrong, films = random.Random(9), {}, []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for film in FORMATS:
            source = folder / f"source.{film.suffix}"
            write_film(source, film)
            films.append((film.suffix, source.read_bytes()))
            outcome = convert(source, folder)
            if outcome.sentence or not outcome.keeps_length:
                wrong[film.name] = outcome.sentence or f"{outcome.before} s became {outcome.after} s"
        sentences, longest = 0, 0.0
        for at in range(rounds):
            suffix, content = films[at % len(films)]
            source = folder / f"source.{suffix}"
            source.write_bytes(damage(content, chance))
            began = time.monotonic()
            sentences += bool(convert(source, folder).sentence)
            longest = max(longest, time.monotonic() - began)
    converted = len(FORMATS) - len(wrong)
    found = {"formats": len(FORMATS), "converted": converted, "damaged": rounds, "sentences": sentences}
    print(json.dumps(found | {"longest": round(longest, 1), "wrong": wrong}))
    return int(bool(wrong))
