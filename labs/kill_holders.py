"""Does a lock hold while its holders are killed? `python -m labs kill_holders [rounds] [seconds of lease]`.

Four processes compete for one lock. In each round one of them, mostly the holder, gets SIGKILL at a random moment and
is replaced. Printed: how often two held the lock at once, and how long it stayed with a dead holder at the longest.
Redis gives the moment of its expiry (PEXPIRETIME): a poll would be late by the load of the machine. Exit code 1 if two
held it, or if it stayed longer than the lease.
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

from django_redis import get_redis_connection

from devtools.processes import wait_until
from workers.practices import locks
from workers.telemetry.held_locks import PREFIX

NAME = "labs.kill_holders"
PROCESSES = 4
SLACK = 0.05  # seconds between a renewal and its arrival at the server


def hold(log: Path, lease: int) -> None:
    """Take and release the lock for ever, and log each moment."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    while True:
        try:
            with locks.exclusive(NAME, lease=lease):
                os.write(file, f"in {os.getpid()} {time.time()}\n".encode())
                time.sleep(random.uniform(0.05, 0.5))
                os.write(file, f"out {os.getpid()} {time.time()}\n".encode())
        except locks.Busy:
            time.sleep(0.01)


def run(rounds: int, lease: int, log: Path) -> tuple[dict[int, float], list[float]]:
    """Kill one process a round. Returns each one's moment of death, and how long the lock stayed with dead holders."""
    deaths: dict[int, float] = {}
    stayed: list[float] = []
    processes = [start(log, lease) for _ in range(PROCESSES)]
    for _ in range(rounds):
        wait_for_holder(log)
        time.sleep(random.uniform(0, 0.3))
        what, holder, _ = read_log(log)[-1]
        victim = next((each for each in processes if each.pid == holder and what == "in"), random.choice(processes))
        deaths[victim.pid or 0] = died = time.time()
        os.kill(victim.pid or 0, signal.SIGKILL)
        victim.join()
        stayed.append(expired_at(victim) - died)
        processes[processes.index(victim)] = start(log, lease)
    for process in processes:
        process.kill()
        process.join()
        deaths[process.pid or 0] = time.time()
    return deaths, stayed


def start(log: Path, lease: int) -> BaseProcess:
    # Forked from a process that has imported everything: a new one would need a second before it competes.
    context = get_context("forkserver")
    context.set_forkserver_preload(["config.wsgi", hold.__module__])  # config.wsgi sets Django up
    process = context.Process(target=hold, args=(log, lease), daemon=True)
    process.start()
    return process


def wait_for_holder(log: Path) -> None:
    """Wait until a process takes the lock: a round without a holder tests nothing."""
    before = len(read_log(log))
    wait_until(lambda: len(now := read_log(log)) > before and now[-1][0] == "in", "a holder", interval=0.02)


def expired_at(process: BaseProcess) -> float:
    """When a dead process's lock expired; 0.0 if it had none. Its last renewal may arrive after its death."""
    redis, key, expiry = get_redis_connection("locks"), PREFIX + NAME, 0.0

    def is_free() -> bool:
        nonlocal expiry
        holder, end = redis.pipeline().get(key).pexpiretime(key).execute()
        if f"pid {process.pid} ".encode() not in (holder or b""):
            return True
        expiry = end / 1000
        return False

    wait_until(is_free, "the end of a dead process's lock", interval=0.02)
    return expiry


def read_log(log: Path) -> list[tuple[str, int, float]]:
    lines = (line.split() for line in log.read_text().splitlines())
    return [(what, int(pid), float(at)) for what, pid, at in lines]


def overlaps(log: Path, deaths: dict[int, float]) -> tuple[int, int]:
    """How often the lock was held, and how often by two at once. A killed holder holds it until its death."""
    held: list[tuple[float, float]] = []
    inside: dict[int, float] = {}
    for what, pid, at in read_log(log):
        if what == "in":
            inside[pid] = at
        else:
            held.append((inside.pop(pid), at))
    held += [(since, deaths[pid]) for pid, since in inside.items()]
    return len(held), sum(after[0] < before[1] for before, after in pairwise(sorted(held)))


def main() -> int:
    given = [int(value) for value in sys.argv[1:]]
    rounds, lease = given + [200, 1][len(given) :]
    with tempfile.NamedTemporaryFile() as file:
        deaths, stayed = run(rounds, lease, Path(file.name))
        held, two = overlaps(Path(file.name), deaths)
    found = {"rounds": rounds, "lease": lease, "held": held, "overlaps": two, "longest": round(max(stayed), 3)}
    print(json.dumps(found))
    return int(two > 0 or max(stayed) > lease + SLACK)
