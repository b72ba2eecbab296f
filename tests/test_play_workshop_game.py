"""The instructor stops one process of the site that `make run` started, and lets it go on."""

import psutil
import pytest

from devtools import game
from devtools.processes import celery


@pytest.fixture
def pid_file(tmp_path):
    path = tmp_path / "up.pid"
    path.write_text(f"{psutil.Process().pid} and more")
    return path


def test_a_worker_and_its_children_are_found_and_the_others_are_left(pid_file, broker):
    video, other = ("worker", "--hostname", "video@%h"), ("worker", "--hostname", "highmem@%h")
    with celery(*video, app="config") as stopped, celery(*other, app="config"):
        found = game.processes_of(pid_file, "video")
        assert stopped.pid in [each.pid for each in found]
        assert all("highmem@" not in " ".join(each.cmdline()) for each in found)


def test_without_a_site_it_says_so(tmp_path):
    with pytest.raises(SystemExit, match="No site runs in this folder"):
        game.processes_of(tmp_path / "none", "beat")
