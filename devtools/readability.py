"""How hard each chapter is to read, and its long sentences: `python -m devtools.readability`.

The figure is the Automated Readability Index (Senter and Smith, 1967): about the school year of a reader who follows
the text without effort. It counts letters and words, so it needs no dictionary.
"""

import re
import sys

from devtools.processes import ROOT

MAX_GRADE = 8
MAX_WORDS = 25  # in a sentence
NOT_PROSE = re.compile(
    r"^ *```.*?^ *```|^\[//\]: # \(result .*?^\[//\]: # \(end\)|^[|#!].*?$|^---$|</?\w[^>]*>|^\[//\].*?$", re.M | re.S
)
LINK, CODE = re.compile(r"!?\[([^\[\]]*)\]\([^)]*\)"), re.compile(r"`[^`]*`")
END = re.compile(r"(?<=[.?!:])[\"')*_]*\s+(?=[\"'(*_]*[A-Z0-9])|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")


def sentences(markdown: str) -> list[str]:
    """Of the prose. An inline piece of code counts as one word."""
    prose = CODE.sub("Code", LINK.sub(r"\1", NOT_PROSE.sub("\n\n", markdown)))
    parts = (" ".join(part.split()) for part in END.split(prose))
    return [part for part in parts if re.search(r"\w{2}", part)]


def words(sentence: str) -> list[str]:
    return re.findall(r"[\w'/.,-]*\w", sentence)


def grade(found: list[str]) -> float:
    """The Automated Readability Index of some sentences."""
    all_words = [word for sentence in found for word in words(sentence)]
    letters = sum(len(re.sub(r"\W", "", word)) for word in all_words)
    return 4.71 * letters / len(all_words) + 0.5 * len(all_words) / len(found) - 21.43


def main() -> int:
    """1 if a chapter is too hard, or has a sentence that is too long."""
    faults = 0
    for path in sorted((ROOT / "docs").glob("[0-9]-*.md")):
        found = sentences(path.read_text())
        long = [sentence for sentence in found if len(words(sentence)) > MAX_WORDS]
        index = grade(found)
        print(f"{path.name:<26} readability {index:4.1f}, at most {MAX_GRADE}")  # noqa: T201
        for sentence in long:
            print(f"  {len(words(sentence))} words: {sentence}")  # noqa: T201
        faults += len(long) + (index > MAX_GRADE)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
