"""What the image has, without Docker: the files that .dockerignore lets through, the packages of requirements.txt.

A virtual environment of links takes half a second, because nothing is installed again.
"""

import shutil
import venv
from fnmatch import fnmatch
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devtools.processes import ROOT

SCRIPT = "#!{python}\nimport sys\nfrom {module} import {name}\nsys.exit({name}())\n"


def is_let_through(path: str) -> bool:
    """Whether .dockerignore lets a path into the image. As in Docker, the last line that matches decides."""
    parts = path.split("/")
    parents = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    through = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if line.startswith("#") or not pattern:
            continue
        candidates = parts if pattern.startswith("**/") else parents
        if any(fnmatch(each, pattern.removeprefix("**/")) for each in candidates):
            through = line.startswith("!")
    return through


def copy_code(target: Path) -> None:
    """Copy what the image gets."""

    def kept_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if not is_let_through(str(Path(folder, name).relative_to(ROOT)))]

    shutil.copytree(ROOT, target, ignore=kept_out)


def make_virtualenv(folder: Path) -> Path:
    """Make one that sees the packages of requirements.txt, and what they need, but no other. Returns its bin."""
    venv.create(folder, symlinks=True)
    binaries = folder / "bin"
    (packages,) = folder.glob("lib/python*/site-packages")
    for found in distributions(read_requirements()):
        names = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for name in names - {each.name for each in packages.iterdir()}:  # some share one, such as opentelemetry
            (packages / name).symlink_to(str(found.locate_file(name)))
        for script in found.entry_points.select(group="console_scripts"):
            text = SCRIPT.format(python=binaries / "python", module=script.module, name=script.attr)
            (binaries / script.name).write_text(text)
            (binaries / script.name).chmod(0o755)
    return binaries


def read_requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line.partition(" #")[0].strip(" \\")) for line in lines if line[:1].isalnum()]


def distributions(requirements: list[Requirement]) -> list[Distribution]:
    """The installed distributions of requirements, and of all that those require."""
    found: dict[str, Distribution] = {}
    seen, waiting = set(), requirements
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), {"", *requirement.extras}
        if (name, *sorted(extras)) in seen:
            continue
        seen.add((name, *sorted(extras)))
        found[name] = distribution(name)
        needs = map(Requirement, found[name].requires or ())
        waiting += [
            need for need in needs if not need.marker or any(need.marker.evaluate({"extra": e}) for e in extras)
        ]
    return list(found.values())
