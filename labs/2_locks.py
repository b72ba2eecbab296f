"""Does a lock keep its promise while its holders are killed? `python -m labs.2_locks [rounds] [seconds of lease]`.

Four processes want one lock; every round one of them, mostly the holder, is killed with -9 at a random moment and
replaced. Every moment of holding is recorded. Printed: how many were inside at once at most, and how long the lock
stayed taken after its holder's death at the longest. Exit code 1 if two were inside, or it was longer than the lease.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import django

NAME = "labs.2_locks"
PROCESSES = 4
SLACK = 0.1  # seconds between two tries of a waiting process, and what a busy machine adds


def hold(log: Path, lease: int) -> None:
    """Takes the lock again and again, and writes down when it is in and when it is out."""
    django.setup()
    from workers.practices import locks  # noqa: PLC0415 - needs the set-up above

    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    while True:
        try:
            with locks.exclusive(NAME, lease=lease):
                os.write(file, f"in {os.getpid()} {time.monotonic()}\n".encode())
                time.sleep(random.uniform(0.05, 0.5))
                os.write(file, f"out {os.getpid()} {time.monotonic()}\n".encode())
        except locks.Busy:
            time.sleep(0.01)


def run(rounds: int, lease: int, log: Path) -> dict[int, float]:
    """Kills one process a round; returns when each of them died."""
    spawn = get_context("spawn")
    deaths: dict[int, float] = {}

    def start() -> BaseProcess:
        process = spawn.Process(target=hold, args=(log, lease), daemon=True)
        process.start()
        return process

    processes = [start() for _ in range(PROCESSES)]
    while len(entries(log)) < PROCESSES:
        time.sleep(0.1)
    for _ in range(rounds):
        time.sleep(random.uniform(0.1, 0.6))
        last = entries(log)[-1]
        victim = next((each for each in processes if each.pid == last[1] and last[0] == "in"), random.choice(processes))
        os.kill(victim.pid or 0, signal.SIGKILL)
        deaths[victim.pid or 0] = time.monotonic()
        victim.join()
        seen = len(entries(log))
        processes[processes.index(victim)] = start()
        while not any(entry[0] == "in" for entry in entries(log)[seen:]):
            time.sleep(0.02)
    for process in processes:
        process.kill()
        process.join()
        deaths[process.pid or 0] = time.monotonic()
    return deaths


def entries(log: Path) -> list[tuple[str, int, float]]:
    lines = (line.split() for line in log.read_text().splitlines())
    return [(what, int(pid), float(at)) for what, pid, at in lines]


def judge(log: Path, deaths: dict[int, float]) -> dict[str, float]:
    """Overlaps, and seconds from a holder's death to the next one's entry."""
    held: list[tuple[float, float, bool]] = []
    inside: dict[int, float] = {}
    for what, pid, at in entries(log):
        if what == "in":
            inside[pid] = at
        else:
            held.append((inside.pop(pid), at, False))
    held += [(since, deaths[pid], True) for pid, since in inside.items()]
    held.sort()
    pairs = list(pairwise(held))
    return {
        "held": len(held),
        "killed while holding": sum(killed for *_, killed in held),
        "overlaps": sum(after[0] < before[1] for before, after in pairs),
        "longest seconds taken after a death": max(
            (round(after[0] - before[1], 3) for before, after in pairs if before[2]), default=0.0
        ),
    }


def main() -> int:
    given = [int(value) for value in sys.argv[1:]]
    rounds, lease = given + [200, 1][len(given) :]
    with tempfile.NamedTemporaryFile() as file:
        found = judge(Path(file.name), run(rounds, lease, Path(file.name)))
    found |= {"rounds": rounds, "lease": lease}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return int(found["overlaps"] > 0 or found["longest seconds taken after a death"] > lease + SLACK)


if __name__ == "__main__":
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "WARNING"}
    sys.exit(main())
