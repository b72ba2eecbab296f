"""`make bench` starts, and each of its modules yields its rows: in a tiny size, without looking at the figures."""

from bench.__main__ import BARS
from tests import programs


def test_every_bar_is_measured():
    done = programs.run("bench", "--quick")
    assert done.returncode == 0, done.stderr
    modules = {line.partition(" ")[0] for line in done.stdout.splitlines()}
    assert set(BARS) <= modules


def test_what_one_upload_costs_is_counted():
    done = programs.run("bench", "--quick", "costs")
    assert done.returncode == 0, done.stderr
    for what in ("upload, CSV", "job, CSV", "upload, video", "job, video", "poll of a running job", "run of a task"):
        assert f"costs        {what}" in done.stdout


def test_an_unknown_name_is_told_the_known_ones():
    done = programs.run("bench", "none")
    assert done.returncode == 2
    assert "overhead" in done.stderr
