"""Whoever scales the app says so in FORMATION, and all that counts processes counts those."""

import pytest

from workers.capacity import formation
from workers.practices import memory

GIB = 1024**3


def test_a_new_app_has_what_its_manifest_says():
    found = formation.formation()
    assert (found["highmem"].quantity, found["highmem"].size) == (1, "performance-m")
    assert (found["default"].concurrency, found["default"].recycled_at) == (4, 200_000 * 1024)
    assert found["web"].concurrency is None
    assert "release" not in found


def test_what_was_scaled_counts_and_the_rest_stays(settings):
    settings.FORMATION = "default=3:Performance-L, highmem=0"
    found = formation.formation()
    assert (found["default"].quantity, found["default"].size) == (3, "performance-l")
    assert (found["highmem"].quantity, found["highmem"].size) == (0, "performance-m")
    assert found["video"] == formation.initial_formation()["video"]


@pytest.mark.parametrize("words", ["video", "video=two", "video=1:", "video=1 highmem=2", "=1"])
def test_words_that_nobody_can_read_are_quoted(settings, words):
    settings.FORMATION = words
    with pytest.raises(formation.InvalidFormation, match=words.partition(" ")[0]):
        formation.formation()


def test_an_unknown_process_type_is_told_the_known_ones(settings):
    settings.FORMATION = "worker=2"
    with pytest.raises(formation.InvalidFormation, match='no process type "worker", only web, default'):
        formation.formation()


def test_a_bigger_dyno_gives_its_runs_more_memory(settings):
    before = memory.max_bytes_per_run("highmem")
    settings.FORMATION = "highmem=1:performance-l"
    assert memory.max_bytes_per_run("highmem") > before + 11 * GIB


def test_check_fires_for_a_smaller_dyno_than_the_processes_need(settings):
    settings.FORMATION = "highmem=1:standard-1x"
    assert [message.id for message in memory.check()] == ["practices.E903"]


def test_check_fires_for_words_that_nobody_can_read(settings, db):
    settings.FORMATION = "highmem=many"
    (message,) = memory.check()
    assert (message.id, "highmem=many" in message.msg) == ("practices.E904", True)
    assert memory.verify().ok is None


def test_without_the_files_nothing_is_known(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    assert formation.formation() == {}
