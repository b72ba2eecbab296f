"""The promises that need many rounds, one after the other: `make drills`, half an hour. Servers of its own.

Prints what each lab prints, then one table. Exit code 1 if a promise is broken, or, where CI is set, left out.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from labs.processes import URLS, servers
from tests.rabbitmq import SERVER, fresh_node

LINE = "{word:<9} {lab:<18} {on:<9} {took:>5}  {figure}"


@dataclass(frozen=True)
class Drill:
    """A lab that ends with exit code 0 if its promise holds. figure: of the last JSON line that it prints."""

    lab: str
    on: str
    figure: str


LOCKS = "held {held} times, by two at once {overlaps} times; kept by the dead for {longest} s of {lease} s"
RUNS = (
    "{waited} waited at once; {due} due = {ran} ran + {refused} refused + {expired} expired: counted right {is_right}"
)
IMPORTS = "{same} of {rounds} killed imports ended as an undisturbed one, {in_the_middle} of them killed in the middle"
DRILLS = (
    Drill("2_locks 200 1", "Valkey", LOCKS),
    Drill("kill_import 50", "Valkey", IMPORTS),
    Drill("5_expires 60", "Valkey", RUNS),
    Drill("5_expires 60", "RabbitMQ", RUNS),
)


@contextmanager
def broker(name: str) -> Iterator[dict[str, str]]:
    """The environment of a lab on it."""
    if name == "Valkey":
        yield dict(os.environ)
    else:
        with fresh_node() as node:
            yield os.environ | {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}


def run(drill: Drill) -> dict[str, str]:
    """Its row of the table."""
    row = {"lab": drill.lab, "on": drill.on, "word": "left out", "took": "", "figure": f"there is no {SERVER}"}
    if drill.on == "RabbitMQ" and not SERVER.exists():
        return row
    print(f"{drill.lab} on {drill.on}", flush=True)
    began, found = time.monotonic(), {}
    name, *arguments = drill.lab.split()
    with broker(drill.on) as environment:
        command = [sys.executable, "-m", f"labs.{name}", *arguments]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as lab:  # noqa: S603 - ours
            for line in lab.stdout or ():
                print(f"  {line}", end="", flush=True)
                found = json.loads(line) if line.startswith("{") else found
    row |= {"word": "BROKEN" if lab.returncode else "holds", "took": f"{time.monotonic() - began:.0f} s"}
    return row | {"figure": drill.figure.format_map(found) if found else "it ended without a figure"}


def main() -> int:
    load = os.getloadavg()[0]
    for name in URLS:
        os.environ.pop(name, None)  # a site's, which a drill is not to meet
    with servers():
        rows = [run(drill) for drill in DRILLS]
    print(f"\n{os.cpu_count()} processors, load {load:.1f} before the start")
    for row in rows:
        print(LINE.format(**row))
    words = {row["word"] for row in rows}
    return int("BROKEN" in words or ("left out" in words and bool(os.environ.get("CI"))))


if __name__ == "__main__":
    sys.exit(main())
