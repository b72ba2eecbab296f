"""The instructor stops one process of the site that `make run` started, and lets it go on."""

import psutil
import pytest

from devtools import game
from devtools.processes import celery
from workers.practices import locks


@pytest.fixture
def pid_file(tmp_path):
    path = tmp_path / "up.pid"
    path.write_text(str(psutil.Process().pid))
    return path


def test_a_worker_and_its_children_are_found_and_the_others_are_left(pid_file, broker):
    video, other = ("worker", "--hostname", "video@%h"), ("worker", "--hostname", "highmem@%h")
    with celery(*video, app="config") as stopped, celery(*other, app="config"):
        found = game.processes_of(game.running_site(pid_file), "video")
        children = psutil.Process(stopped.pid).children()
        assert {each.pid for each in found} == {stopped.pid, *(child.pid for child in children)}
        assert children


@pytest.mark.parametrize("text", [None, ""], ids=["no file", "the file of a stopped site"])
def test_without_a_site_it_says_so(tmp_path, text):
    path = tmp_path / "up.pid"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit, match="No site runs in this folder"):
        game.running_site(path)


def test_a_lock_without_end_is_left_and_deleted_again(broker, capsys):
    game.change_lock("lock")
    assert locks.verify().summary == "1 held, 1 without end"
    game.change_lock("lock")
    game.change_lock("unlock")
    assert locks.verify().summary == "0 held, 0 without end"
    assert capsys.readouterr().out.splitlines() == ["Locked.", "A run holds it: try again.", "1 deleted."]
