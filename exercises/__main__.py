"""`python -m exercises` lists the exercises. `python -m exercises 5` does one: see `make help`."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from shlex import quote

from django.core.management.base import CommandError

from devtools.management.commands.up import exclusive_lock
from devtools.ports import is_free
from devtools.processes import ROOT
from exercises import grading, running
from exercises.catalogue import Exercise, exercises
from exercises.copies import PatchError, make_broken_copy, solution_diff

LOCAL = Path(os.environ.get("LOCAL_DIR") or ROOT / ".local").resolve() / "exercises"
PASSED = LOCAL / "passed.json"
PORTS = range(8001, 8100)


def main() -> int:
    options = parse()
    if options.name is None:
        return show_list()
    found = [exercise for exercise in exercises() if exercise.name == options.name]
    if not found:
        print(f"There is no exercise {options.name}. There are:")
        show_list()
        return 1
    exercise, folder = found[0], LOCAL / found[0].slug
    if options.hint is not None:
        return show_hints(exercise, options.hint)
    if options.solution:
        return show_solution(exercise)
    if options.check:
        return check(exercise, folder)
    try:
        return start(exercise, folder, is_fresh=options.fresh)
    except (CommandError, PatchError, TimeoutError) as error:
        print(error)
        return 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("make exercise")
    parser.add_argument("name", nargs="?", help="5: find the mistake of practice 5; 5b: build something")
    for flag in ("check", "solution", "fresh"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("--hint", type=int)
    return parser.parse_args()


def show_list() -> int:
    passed = read_passed()
    for exercise in exercises():
        state = f"passed {passed[exercise.slug]}" if exercise.slug in passed else ""
        minutes = f"{exercise.minutes} min"
        print(f"{exercise.name:<3} {exercise.kind:<6} {minutes:<7} {exercise.title:<60} {state}".rstrip())
    print("Start one with: make exercise N=5")
    return 0


def start(exercise: Exercise, folder: Path, *, is_fresh: bool) -> int:
    """Returns 0 after Ctrl-C, SIGINT or SIGTERM.

    Raises CommandError if it runs already, PatchError for its patch, TimeoutError without its site.
    """
    for number in (signal.SIGTERM, signal.SIGINT):  # a shell lets what it starts with & ignore SIGINT
        signal.signal(number, signal.default_int_handler)
    LOCAL.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(running.lock_file(folder)):
        if is_fresh and folder.exists():
            shutil.rmtree(folder)
        is_new = not folder.exists()
        if is_new:
            make_broken_copy(exercise, folder)
        show_task(exercise, folder, is_new=is_new)
        port = os.environ.get("PORT") or str(next(filter(is_free, PORTS)))
        try:
            running.serve(folder, port, exercise.scene)
        except KeyboardInterrupt:
            print(f"Stopped. Your copy stays in {shown(folder)}; FRESH=1 begins anew.")
    return 0


def show_task(exercise: Exercise, folder: Path, *, is_new: bool) -> None:
    command = f"make exercise N={exercise.name}"
    print(f"{exercise.title}  ({exercise.minutes} minutes; chapter: {exercise.chapter})\n")
    for heading in ("Story", "Symptom", "Task"):
        print(f"{heading.upper()}\n{exercise.sections[heading]}\n")
    print(
        f"Edit the files in {shown(folder)}/ {'' if is_new else '(your copy of last time) '}and not the project's own."
    )
    print("The site starts again when you save a file. In another terminal:")
    print(f"  {check_command(folder)}")
    print(f"  {command} HINT=1      the first of {len(exercise.hints)} hints")
    print(f"  {command} CHECK=1     your grade, and the solution if you pass")
    print(f"  {command} SOLUTION=1  the solution now\n")
    print("The site starts ...", flush=True)


def check_command(folder: Path) -> str:
    """For a shell in the project. The copy has no virtual environment of its own."""
    inside = folder.is_relative_to(ROOT)
    python = os.path.relpath(sys.executable, folder) if inside else sys.executable
    return f"cd {quote(shown(folder))} && DEBUG=true {quote(python)} manage.py check"


def show_hints(exercise: Exercise, count: int) -> int:
    """1 for a number that no hint has."""
    total = len(exercise.hints)
    for number, hint in enumerate(exercise.hints[: max(count, 0)], 1):
        print(f"{number}. {hint}")
    if 0 < count <= total:
        return 0
    print(f"This exercise has {total} hints: HINT=1 to HINT={total}.")
    return 1


def show_solution(exercise: Exercise) -> int:
    print(f"SOLUTION\n{solution_diff(exercise)}\n{exercise.sections['Solution']}\n")
    print(f"WHAT ELSE WOULD HAVE WORKED\n{exercise.sections['Also works']}")
    return 0


def check(exercise: Exercise, folder: Path) -> int:
    """1 if it is not passed."""
    if not folder.exists():
        print(f"Start it first: make exercise N={exercise.name}")
        return 1
    if running.plays_scene(folder):
        print("The scene of this exercise still runs. The grade waits for it ...", flush=True)
    all_passed = True
    try:
        for grade in grading.grade(exercise, folder):
            all_passed &= grade.passed
            print(f"{'pass' if grade.passed else 'FAIL'}  {grade.subject}: {grade.words}", flush=True)
    except running.SceneRunningError as error:
        print(f"{error} This was no grade: grade again when its window says Ready.")
        return 1
    except TimeoutError as error:
        print(f"FAIL  {error}")
        return 1
    if not all_passed:
        print("Not yet. Edit, save, and grade again.")
        return 1
    PASSED.write_text(json.dumps(read_passed() | {exercise.slug: time.strftime("%Y-%m-%d")}))
    print("Passed.\n")
    return show_solution(exercise)


def read_passed() -> dict[str, str]:
    """Dates by slug."""
    return dict(json.loads(PASSED.read_text())) if PASSED.exists() else {}


def shown(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)


if __name__ == "__main__":
    sys.exit(main())
