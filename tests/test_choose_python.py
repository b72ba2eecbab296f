"""The platform and a laptop each take their Python: the file that pins the one does not bind the other."""

import os
import re
import subprocess
from pathlib import Path

from devtools.processes import ROOT

PINNED = (ROOT / ".python-version").read_text().strip()
SHOW = "show:; @echo $$PYENV_VERSION"  # what every recipe of the Makefile would see


def pyenv_version(folder: Path, **variables: str) -> str:
    """PYENV_VERSION within make, on a machine whose pyenv has two Pythons for everything."""
    pyenv = folder / "pyenv"
    pyenv.write_text("#!/bin/sh\n[ $1 = global ] && printf '3.11.7\\nsystem\\n'\n")
    pyenv.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    command = ["make", "--no-print-directory", "--eval", SHOW, "show"]
    clean = {name: value for name, value in os.environ.items() if name != "PYENV_VERSION"}
    done = subprocess.run(command, cwd=ROOT, env=clean | {"PATH": path} | variables, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_the_platform_builds_with_the_newest_patch_of_the_images_version():
    assert re.fullmatch(r"3\.\d+", PINNED)  # major version: the platform adds the patch
    assert f"FROM python:{PINNED}." in (ROOT / "Dockerfile").read_text()


def test_a_laptops_pyenv_takes_the_version_that_it_takes_elsewhere(tmp_path):
    assert pyenv_version(tmp_path) == "3.11.7:system"


def test_a_version_that_its_owner_chose_stays(tmp_path):
    assert pyenv_version(tmp_path, PYENV_VERSION="3.12.1") == "3.12.1"
