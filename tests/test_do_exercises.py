"""Each exercise breaks exactly what it says, and its solution mends it. One is done whole, as a learner does it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from devtools.ports import free_port
from devtools.processes import DEADLINE_SECONDS, ROOT, killed_at_end, wait_until
from devtools.visitor import Visitor
from exercises import running
from exercises.__main__ import check, show_hints, show_solution
from exercises.catalogue import FOLDER, SECTIONS, exercises
from exercises.copies import apply_patch, make_broken_copy, make_copy, solution_diff
from exercises.grading import LATER, BrokenSourceError, read_examination
from tests.conftest import environment

pytestmark = pytest.mark.django_db  # else pytest-django makes no database for this file alone

ALL = list(exercises())
each_exercise = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.slug)


FAULTY = "workers/schedule.py"  # in exercise 5
Examine = Callable[..., dict]


@pytest.fixture(scope="module")
def examine(django_db_setup) -> Iterator[Examine]:
    """As the grade does, on the servers of the tests."""
    command = [sys.executable, str(ROOT / "tests" / "fork_examiner.py")]
    with subprocess.Popen(
        command, env=environment(DEBUG="true"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as examiner:

        def ask(folder: Path, *hidden_tests: Path) -> dict:
            examiner.stdin.write(f"{json.dumps([str(folder), *map(str, hidden_tests)])}\n")
            examiner.stdin.flush()
            return read_examination(subprocess.CompletedProcess([], *json.loads(examiner.stdout.readline())))

        yield ask


def faults(found: dict) -> list[str]:
    return [f"{docstring} {fault}" for docstring, fault in found["tests"] if fault]


@each_exercise
def test_its_patch_breaks_exactly_what_it_says(exercise, examine: Examine, tmp_path: Path):
    make_broken_copy(exercise, tmp_path / "copy")
    found = examine(tmp_path / "copy", exercise.hidden_test)
    assert sorted({rule for rule, _ in found["rules"]}) == exercise.rules, found["rules"]
    assert faults(found)


def test_all_hidden_tests_of_exercises_to_find_hold_on_todays_source(examine: Examine, tmp_path: Path):
    make_copy(tmp_path / "copy")
    found = examine(tmp_path / "copy", *(exercise.hidden_test for exercise in ALL if exercise.kind == "find"))
    assert found["rules"] == []
    assert len(found["tests"]) >= len(ALL) / 2
    assert faults(found) == []


@pytest.mark.parametrize(
    "exercise", [each for each in ALL if each.solution_patch.exists()], ids=lambda exercise: exercise.slug
)
def test_its_solution_mends_it(exercise, examine: Examine, tmp_path: Path):
    make_broken_copy(exercise, tmp_path / "copy")
    apply_patch(exercise.solution_patch, tmp_path / "copy")
    found = examine(tmp_path / "copy", exercise.hidden_test)
    assert found["rules"] == []
    assert found["tests"]
    assert faults(found) == []


@each_exercise
def test_it_has_all_its_parts(exercise):
    assert tuple(exercise.sections) == SECTIONS
    assert all(exercise.sections.values())
    assert len(exercise.hints) >= 2
    assert 10 <= exercise.minutes <= 30
    assert 0 < len(exercise.title) <= 60
    assert re.search(r"^\+.*\S", solution_diff(exercise), re.MULTILINE)
    assert exercise.solution_patch.exists() == (exercise.kind == "build")


def test_source_that_cannot_be_imported_is_named(examine: Examine, tmp_path: Path):
    make_copy(tmp_path / "copy")
    (tmp_path / "copy/config/schedule.py").write_text("SCHEDULE = {\n")
    with pytest.raises(BrokenSourceError, match=r"SyntaxError: .* was never closed"):
        examine(tmp_path / "copy")


class Learner:
    """Types `make exercise` and edits files. Has a LOCAL_DIR of their own."""

    def __init__(self, local: Path) -> None:
        self.local, self.port = local, free_port()
        self.copy = local / "exercises" / "5-find"
        self.environment = os.environ | {"LOCAL_DIR": str(local), "PORT": str(self.port)}

    @staticmethod
    def command(*words: str) -> list[str]:
        """--old-file: make installs nothing."""
        return ["make", "--no-print-directory", "--old-file=.venv/made-by-python3", *words]

    def make(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout

    @contextmanager
    def exercise(self, log: Path, *words: str, until: str = "Ready: ") -> Iterator[None]:
        """`make exercise N=5` in a terminal of its own, until Ctrl-C."""
        command = self.command("exercise", "N=5", *words)
        with killed_at_end(command, log, environment=self.environment) as process:
            wait_until(lambda: process.poll() is not None or until in log.read_text(), until)
            assert process.poll() is None, log.read_text()
            yield
            os.killpg(process.pid, signal.SIGINT)
            process.wait(DEADLINE_SECONDS)
        assert "Stopped. Your copy stays" in log.read_text()

    def type_check_command(self, shown: str) -> str:
        """As it is printed, in a shell of the project."""
        command = re.search(r"^  (cd .* manage\.py check)$", shown, re.MULTILINE)[1]
        bare = {name: os.environ[name] for name in running.KEPT_VARIABLES if name in os.environ}
        return subprocess.run(
            command, shell=True, cwd=ROOT, env=bare, capture_output=True, text=True, check=False
        ).stderr

    def page(self) -> str:
        """Of the practices, as staff see it."""
        visitor = Visitor(self.port)
        visitor.post("/accounts/login/", username="demo", password="demo")
        return visitor.get("/practices/").data.decode()

    def solve(self) -> None:
        (self.copy / FAULTY).write_text((ROOT / FAULTY).read_text())

    def has_solved(self) -> bool:
        return (self.copy / FAULTY).read_text() == (ROOT / FAULTY).read_text()


@pytest.fixture
def learner() -> Iterator[Learner]:
    """Not in a folder of pytest: see the fixture in test_embedded.py."""
    with tempfile.TemporaryDirectory(prefix="mediaapp-learner-") as name:
        yield Learner(Path(name))


def test_a_learner_does_one_whole(learner: Learner, tmp_path: Path):
    assert "Start it first" in learner.make("exercise", "N=5", "CHECK=1")
    log = tmp_path / "terminal.log"
    with learner.exercise(log):
        assert "STORY" in log.read_text()
        wait_until(lambda: "It never expires." in learner.page(), "the finding")
        assert "practices.E501" in learner.type_check_command(log.read_text())
        grade = learner.make("exercise", "N=5", "CHECK=1")
        assert re.findall(r"^(\w+)  ([\w ]+):", grade, re.MULTILINE)[:2] == [("FAIL", "rule"), ("FAIL", "live finding")]
        assert re.findall(r"FAIL  hidden test: .*", grade) == re.findall(rf"FAIL  hidden test: .* {LATER}", grade) != []
        assert "pass" not in grade
        assert LATER not in learner.make("exercise", "N=5", "CHECK=1")
        learner.solve()
        grade = learner.make("exercise", "N=5", "CHECK=1")  # waits for the site with the edits
        assert "FAIL" not in grade
        assert "It never expires." not in learner.page()
        assert '+    options = {"queue": table().queue_of(task), "expires": expires, "expire_seconds"' in grade
        assert "WHAT ELSE WOULD HAVE WORKED" in grade
    assert re.search(r"^5 .* passed \d{4}-", learner.make("exercises"), re.MULTILINE)
    without_site = learner.make("exercise", "N=5", "CHECK=1")
    assert "pass  rule: " in without_site
    assert "FAIL  live finding: The site of this exercise does not run." in without_site
    with learner.exercise(log, until="The site starts"):
        assert "(your copy of last time)" in log.read_text()
        assert learner.has_solved()
    with learner.exercise(log, "FRESH=1", until="The site starts"):
        assert not learner.has_solved()


@pytest.mark.parametrize(("number", "shown"), [(0, 0), (9, 3), (-1, 0)])
def test_a_hint_that_it_does_not_have_shows_how_many_there_are(number, shown, capsys):
    exercise = next(each for each in ALL if each.name == "5")
    assert show_hints(exercise, number) == 1
    *hints, last = capsys.readouterr().out.strip().split("\n")
    assert len([line for line in hints if re.match(r"\d\.", line)]) == shown
    assert last == "This exercise has 3 hints: HINT=1 to HINT=3."


def test_hints_unfold_one_by_one_and_the_solution_needs_no_grade(capsys):
    exercise = next(each for each in ALL if each.name == "5")
    show_hints(exercise, 2)
    shown = capsys.readouterr().out
    assert [f"{number}. {exercise.hints[number - 1]}" in shown for number in (1, 2, 3)] == [True, True, False]
    show_solution(exercise)
    shown = capsys.readouterr().out
    assert re.search(r"^\+ .*expire_seconds", shown, re.MULTILINE)
    assert exercise.sections["Also works"] in shown


@pytest.fixture
def copy_with_scene(tmp_path: Path) -> Path:
    """Of an exercise whose scene has begun."""
    copy = tmp_path / "5-find"
    (copy / ".local").mkdir(parents=True)
    (copy / ".local" / "scene.log").touch()
    return copy


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(running, "is_served", lambda folder: True)
    monkeypatch.setattr(running, "wait_until", partial(wait_until, seconds=0.1))
    monkeypatch.setattr("exercises.grading.examine", lambda folder, *hidden_tests: {"rules": [], "tests": []})


@pytest.mark.usefixtures("impatient")
def test_a_grade_during_the_scene_is_no_failure(copy_with_scene: Path, capsys):
    assert check(ALL[0], copy_with_scene) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("The scene of this exercise still runs. The grade waits for it ...\n")
    assert "This was no grade: grade again when its window says Ready." in shown
    assert "FAIL" not in shown


@pytest.mark.usefixtures("impatient")
def test_a_site_that_does_not_start_fails_a_grade(copy_with_scene: Path, capsys):
    (copy_with_scene / ".local" / "scene.log").unlink()
    check(ALL[0], copy_with_scene)
    assert re.search("^FAIL  waited .* its window says why it does not$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(("is_edited", "is_complete"), [(True, False), (False, True)])
def test_an_edit_ends_the_scene(is_edited: bool, is_complete: bool, copy_with_scene: Path, tmp_path: Path):
    (copy_with_scene / "manage.py").write_text(f"import time; time.sleep({DEADLINE_SECONDS if is_edited else 0})")
    (scene := tmp_path / "scene.py").touch()
    source = "of before the edit" if is_edited else running.fingerprint(copy_with_scene)
    assert running._play(scene, copy_with_scene, source) == is_complete
    assert not running.plays_scene(copy_with_scene)


def test_the_scene_of_a_killed_site_is_forgotten(copy_with_scene: Path):
    (copy_with_scene / "manage.py").touch()
    with running._running_site(copy_with_scene, "1"):
        assert not running._scene(copy_with_scene).exists()


def test_a_file_may_be_deleted_while_the_site_looks_for_edits(copy_with_scene: Path, monkeypatch):
    (file := copy_with_scene / "Procfile").touch()
    before = running.fingerprint(copy_with_scene)
    monkeypatch.setattr(Path, "is_file", lambda path: path == file)
    file.unlink()
    assert running.fingerprint(copy_with_scene) != before


def test_both_exercises_of_a_practice_may_share_a_scene_and_others_have_their_own_or_none():
    scenes = {each.folder.relative_to(FOLDER).as_posix(): each.scene for each in exercises() if each.scene.exists()}
    assert scenes["1/find"] == scenes["1/build"] == FOLDER / "1/scene.py"
    assert scenes["7/find"] == FOLDER / "7/find/scene.py"
    assert "3/build" not in scenes
