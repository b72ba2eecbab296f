"""`make bench` starts, and each of its modules yields its rows: in a tiny size, without looking at the figures."""

import pytest

from bench.__main__ import BARS
from tests import programs

APART = ("resets", "turns")  # they take as long as all others together


@pytest.mark.parametrize("names", [(name,) for name in APART] + [tuple(sorted({*BARS} - {*APART}))], ids="+".join)
def test_every_bar_is_measured(names: tuple[str, ...]):
    done = programs.run("bench", "--quick", *names)
    assert done.returncode == 0, done.stderr
    modules = {line.partition(" ")[0] for line in done.stdout.splitlines()}
    assert {*names} <= modules


def test_what_one_upload_costs_is_counted():
    done = programs.run("bench", "--quick", "costs")
    assert done.returncode == 0, done.stderr
    for what in ("upload, CSV", "job, CSV", "upload, video", "job, video", "poll of a running job", "run of a task"):
        assert f"costs        {what}" in done.stdout


def test_an_unknown_name_is_told_the_known_ones():
    done = programs.run("bench", "none")
    assert done.returncode == 2
    assert "overhead" in done.stderr
