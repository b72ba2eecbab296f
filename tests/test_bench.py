"""`make bench` starts, and each of its modules yields its rows: in a tiny size, without looking at the figures."""

import subprocess
import sys

from bench.__main__ import BARS
from tests.conftest import ROOT


def test_every_bar_is_measured():
    command = [sys.executable, "-m", "bench", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    modules = {line.partition(" ")[0] for line in done.stdout.splitlines()}
    assert set(BARS) <= modules


def test_an_unknown_name_is_told_the_known_ones():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "none"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "overhead" in done.stderr
