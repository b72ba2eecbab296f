"""The exercises of a practice: two Markdown files, whose hints and solution the page folds (exercises/README.md)."""

import json
import re
import tomllib
from dataclasses import dataclass

from django.conf import settings
from django.utils.safestring import SafeString

from mediaapp import documents

KINDS = {"find": "Find somebody else's mistake", "build": "Build it"}
FOLDED = ("Solution", "Also works")
HINT = re.compile(r"^\d+\. ", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    number: int
    kind: str

    @property
    def path(self) -> str:
        return f"exercises/{self.number}/{self.kind}/task.md"

    @property
    def label(self) -> str:
        return KINDS[self.kind]

    @property
    def name(self) -> str:
        """As in `make exercise N=5` and `N=5b`."""
        return f"{self.number}{'b' if self.kind == 'build' else ''}"

    @property
    def title(self) -> str:
        return documents.title(self.path)

    @property
    def minutes(self) -> int | None:
        try:
            facts = tomllib.loads((settings.BASE_DIR / self.path).with_name("exercise.toml").read_text())
            return int(facts["minutes"])
        except (OSError, ValueError, LookupError, TypeError):
            return None

    @property
    def passed_on(self) -> str:
        """The day on which `make exercise` graded it on this machine as passed, or "". Not the copy's own file."""
        try:
            passed = json.loads((settings.LOCAL_DIR / "exercises" / "passed.json").read_text())
            return str(passed.get(f"{self.number}-{self.kind}", ""))
        except (OSError, ValueError, AttributeError):
            return ""

    def render(self, *, for_staff: bool) -> SafeString:
        """Raises FileNotFoundError without its task."""
        return documents.convert(fold((settings.BASE_DIR / self.path).read_text()), self.path, for_staff=for_staff).html


def exercises_of(number: int) -> list[Exercise]:
    """Those that have a task. None in the image, which has no exercises."""
    found = [Exercise(number, kind) for kind in KINDS]
    return [each for each in found if (settings.BASE_DIR / each.path).is_file()]


def fold(task: str) -> str:
    """Fold each hint, and the solution with what follows it."""
    begin, *parts = re.split(r"^## (.+)\n", task, flags=re.MULTILINE)
    sections = list(zip(parts[::2], parts[1::2], strict=True))
    shown = [
        f"## {heading}\n\n{_fold_hints(text) if heading == 'Hints' else text}"
        for heading, text in sections
        if heading not in FOLDED
    ]
    folded = "\n\n".join(f"### {heading}\n\n{text.strip()}" for heading, text in sections if heading in FOLDED)
    return begin + "\n\n".join([*shown, _details("The solution, and what else works", folded)])


def _fold_hints(text: str) -> str:
    before, *hints = HINT.split(text)
    unindented = (re.sub(r"^   ", "", hint, flags=re.MULTILINE) for hint in hints)
    return before + "\n\n".join(_details(f"Hint {number}", hint) for number, hint in enumerate(unindented, 1))


def _details(summary: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{text.strip()}\n\n</details>\n"
