"""The exercises: a folder each, exercises/<practice>/<find|build>/ (exercises/README.md)."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from devtools.processes import ROOT

FOLDER = Path(__file__).parent
KINDS = ("find", "build")
SECTIONS = ("Story", "Symptom", "Task", "Hints", "Solution", "Also works")


@dataclass(frozen=True)
class Exercise:
    """folder: with task.md, exercise.toml, break.patch, hidden.py, and solution.patch if it is one to build."""

    folder: Path

    @property
    def number(self) -> int:
        return int(self.folder.parent.name)

    @property
    def kind(self) -> str:
        return self.folder.name

    @property
    def name(self) -> str:
        """As in `make exercise N=5` and `N=5b`."""
        return f"{self.number}{'b' if self.kind == 'build' else ''}"

    @property
    def slug(self) -> str:
        return f"{self.number}-{self.kind}"

    @cached_property
    def title(self) -> str:
        return self._text.partition("\n")[0].removeprefix("# ")

    @cached_property
    def sections(self) -> dict[str, str]:
        """The Markdown of each section by its heading."""
        _, *parts = re.split(r"^## (.+)\n", self._text, flags=re.MULTILINE)
        return {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}

    @cached_property
    def hints(self) -> list[str]:
        items = re.split(r"^\d+\. ", self.sections["Hints"], flags=re.MULTILINE)
        return [item.strip() for item in items if item.strip()]

    @property
    def minutes(self) -> int:
        return int(self._facts["minutes"])

    @property
    def rules(self) -> list[str]:
        """The ids that `manage.py check` prints for the broken copy, and no others."""
        return list(self._facts["rules"])

    @property
    def finding(self) -> str:
        """Words of the live finding while the practice is broken; empty if it still holds."""
        return str(self._facts["finding"])

    @property
    def break_patch(self) -> Path:
        return self.folder / "break.patch"

    @property
    def solution_patch(self) -> Path:
        return self.folder / "solution.patch"

    @property
    def hidden_test(self) -> Path:
        return self.folder / "hidden.py"

    @property
    def scene(self) -> Path:
        """Optional: what `manage.py shell` runs in the copy once its site is ready. A practice may share one."""
        own = self.folder / "scene.py"
        return own if own.exists() else self.folder.parent / "scene.py"

    @property
    def chapter(self) -> str:
        return next(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob(f"{self.number}-*.md"))

    @cached_property
    def _text(self) -> str:
        return (self.folder / "task.md").read_text()

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "exercise.toml").read_text())


def exercises() -> Iterator[Exercise]:
    for number in range(1, 10):
        for kind in KINDS:
            if (folder := FOLDER / str(number) / kind).exists():
                yield Exercise(folder)
