"""Copies a module of `workers/`, and what it imports of there, into another project.

`python -m devtools.copy_modules workers.practices.locks ../shop` is how docs/lift.md takes a practice over.
"""

import ast
import shutil
import sys
from pathlib import Path

from devtools.processes import ROOT

PACKAGE = "workers"


def needed_files(module: str) -> set[Path]:
    """Relative to the root: of the module, its packages, and all that these import of PACKAGE."""
    found: set[Path] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        path = _file_of(name)
        if path is None or path in found:
            continue
        found.add(path)
        pending += _imports((ROOT / path).read_text())
        pending.append(name.rpartition(".")[0])
    return found


def copy(module: str, project: Path) -> list[Path]:
    """Overwrites what an earlier copy has left, and notes where it comes from, for the addresses of the audit."""
    files = sorted(needed_files(module))
    for file in files:
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, project / file)
    (project / PACKAGE / "copied_from.txt").write_text(f"{ROOT}\n")
    return files


def _file_of(module: str) -> Path | None:
    if module.partition(".")[0] != PACKAGE:
        return None
    path = Path(*module.split("."))
    return next((each for each in (path.with_suffix(".py"), path / "__init__.py") if (ROOT / each).exists()), None)


def _imports(source: str) -> list[str]:
    """`from a.b import c` names a.b and a.b.c: c may be a module or a name in one."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return names


if __name__ == "__main__":
    for copied in copy(sys.argv[1], Path(sys.argv[2])):
        print(copied)  # noqa: T201
