"""The learner's scratch copy of the project's source, with the patches of an exercise."""

import difflib
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools.processes import ROOT
from exercises.catalogue import Exercise

# What the site needs on one machine. No exercise is in it, because exercises have solutions.
PARTS = (
    *("config", "devtools", "docs", "mediaapp", "templates", "workers"),
    *("Procfile", "app.json", "docker-compose.yml", "manage.py", "pyproject.toml"),
)


class PatchError(Exception):
    """A patch does not fit today's source."""


def make_copy(folder: Path) -> None:
    """With the compiled modules: a start is faster by seconds."""
    folder.mkdir(parents=True)
    for name in PARTS:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)


def make_broken_copy(exercise: Exercise, folder: Path) -> None:
    """`folder` gets its name at the end: an interrupted start leaves no incomplete copy."""
    draft = folder.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    make_copy(draft)
    apply_patch(exercise.break_patch, draft)
    draft.rename(folder)


def apply_patch(patch: Path, folder: Path) -> None:
    """Raises PatchError."""
    # The folder is inside the repository of the project, where git would skip all files that are not in its index.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    command = ["git", "apply", "--whitespace=nowarn", str(patch.resolve())]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:
        raise PatchError("The exercises need git, which applies their patches: install it.") from None
    if done.returncode:
        raise PatchError(f"{patch.relative_to(ROOT)} does not fit today's source:\n{done.stderr}")


def solution_diff(exercise: Exercise) -> str:
    """From the broken source to a right one."""
    if exercise.solution_patch.exists():
        return exercise.solution_patch.read_text()
    names = re.findall(r"^diff --git a/(\S+)", exercise.break_patch.read_text(), re.MULTILINE)
    with TemporaryDirectory(prefix="exercise-") as name:
        broken = Path(name)
        for path in (path for path in names if (ROOT / path).exists()):
            (broken / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, broken / path)
        apply_patch(exercise.break_patch, broken)
        return "".join(line for path in names for line in _diff(broken, path))


def _diff(broken: Path, path: str) -> list[str]:
    before, after = (_lines(folder / path) for folder in (broken, ROOT))
    return list(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}"))


def _lines(file: Path) -> list[str]:
    return file.read_text().splitlines(keepends=True) if file.exists() else []
