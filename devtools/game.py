"""The game of the workshop breaks one thing of this folder's `make run`: `python -m devtools.game stop video`.

`continue video` undoes it. `lock` leaves a lock without end, as a killed run does, and `unlock` deletes it.
"""

import argparse
import os
from pathlib import Path

import django
import psutil
from django_redis import get_redis_connection

from devtools.processes import ROOT
from workers.telemetry.held_locks import key_of

PARSER = argparse.ArgumentParser(prog="python -m devtools.game", description="Break one thing of this folder's site.")
PARSER.add_argument("action", choices=("stop", "continue", "lock", "unlock"))
PARSER.add_argument("process", nargs="?", choices=("default", "video", "highmem", "beat"))
PID_FILE = ROOT / ".local/up.pid"
LOCK = "delete_old"  # of a task that nobody misses for weeks


def main() -> None:
    given, site = PARSER.parse_args(), running_site(PID_FILE)
    if given.action in ("lock", "unlock"):
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        change_lock(given.action)
    elif not given.process:
        PARSER.error("name a process")
    else:
        changed = processes_of(site, given.process)
        for process in changed:
            process.suspend() if given.action == "stop" else process.resume()
        print(f"{given.action}: {len(changed)} processes of {given.process}.")


def running_site(pid_file: Path) -> psutil.Process:
    """SystemExit if the site does not run: then its file is empty, or was never written."""
    try:
        return psutil.Process(int(pid_file.read_text()))
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        raise SystemExit("No site runs in this folder: `make run` starts it.") from None


def change_lock(action: str) -> None:
    locks, key = get_redis_connection("locks"), key_of(LOCK)
    if action == "lock":
        print("Locked." if locks.set(key, "nobody", nx=True) else "A run holds it: try again.")
    else:
        print(f"{locks.delete(key)} deleted.")


def processes_of(site: psutil.Process, name: str) -> list[psutil.Process]:
    """Those of one line of the Procfile."""
    words = "config beat" if name == "beat" else f"--hostname {name}@"
    return [each for each in site.children(recursive=True) if words in " ".join(each.cmdline())]


if __name__ == "__main__":
    main()
