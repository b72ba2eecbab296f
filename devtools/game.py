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

PARSER = argparse.ArgumentParser(prog="python -m devtools.game", description="Break one thing of this folder's site.")
PARSER.add_argument("action", choices=("stop", "continue", "lock", "unlock"))
PARSER.add_argument("process", nargs="?", choices=("default", "video", "highmem", "beat"))
PID_FILE = ROOT / ".local/up.pid"
LOCK = "lock:delete_old"  # of a task that nobody misses for weeks


def main() -> None:
    given = PARSER.parse_args()
    if given.action in ("lock", "unlock"):
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        django.setup()
        locks = get_redis_connection("locks")
        print("Locked." if given.action == "lock" and locks.set(LOCK, "nobody") else f"{locks.delete(LOCK)} deleted.")
        return
    if not given.process:
        PARSER.error("name a process")
    stopped = processes_of(PID_FILE, given.process)
    for process in stopped:
        process.suspend() if given.action == "stop" else process.resume()
    print(f"{given.action}: {len(stopped)} processes of {given.process}.")


def processes_of(pid_file: Path, name: str) -> list[psutil.Process]:
    """Those of one line of the Procfile. SystemExit if the site does not run."""
    words = "config beat" if name == "beat" else f"--hostname {name}@"
    try:
        site = psutil.Process(int(pid_file.read_text().split()[0]))
    except (FileNotFoundError, psutil.NoSuchProcess):
        raise SystemExit("No site runs in this folder: `make run` starts it.") from None
    return [each for each in site.children(recursive=True) if words in " ".join(each.cmdline())]


if __name__ == "__main__":
    main()
