"""The promises that need many rounds: `make drills` runs their labs one after the other, in about four hours.

Each has its own servers. Prints the output of each lab, then one table. Exit code 1 if a promise is broken, or, where
CI is set, if one is skipped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from devtools.rabbitmq import SERVER

TABLE_LINE = "{verdict:<9} {lab:<25} {seconds:>5}  {figure}"


@dataclass(frozen=True)
class Drill:
    """A lab that ends with exit code 0 if its promise holds. figure: a template for its last line of JSON."""

    lab: str  # the arguments of `python -m`
    figure: str


LOCKS = "held {held} times, by two at once {overlaps} times; kept by the dead for {longest} s of {lease} s"
RUNS = (
    "{waited} waited at once; {due} due = {ran} ran + {refused} refused + {expired} expired: counted right {is_right}"
)
IMPORTS = "{same} of {rounds} killed imports ended as an undisturbed one, {in_the_middle} of them killed in the middle"
GUESSES = (
    "{refused} refused tries grew the locks' server by {grown_by_refused} bytes, all by {grown};"
    " {let_through} let through, {evicted} counters evicted"
)
DEATHS = (
    "next attempt at most {process} s after the death of a process, {worker} s after a worker's, {host} s after that of"
    " a worker and the leading beat, in {rounds} kills; {disturbed} living jobs disturbed by them and {rounds} flushes"
)
FILMS = (
    "{converted} of {formats} kinds of film converted; of {damaged} damaged ones {sentences} ended with a sentence,"
    " the others as a film, after {longest} s at most"
)
SILENCE = (
    "{asked} pages and forms while {servers} were silent in turn: longest {longest} s, {added} s of it by the silence;"
    " {wrong} with 500; log-in beside 16 libraries {log_in} s, {usual_log_in} s while all answer"
)
CHAOS = (
    "{rounds} faults while three users upload: {lost} files lost, {doubled} doubled, {stuck} stuck, {held_up} held up,"
    " {false_deaths} false deaths, ready after {longest} s at most"
)
ALARMS = (
    "{held} of 9 broken practices shown within {shown} s, mailed once in their time and once when over: {mails} mails;"
    " {pings} calls of the outside heartbeat, {pings_after_death} after the death of beat"
)
RETRIES = (
    "{changed} of {jobs} failed jobs retried under {kills} kills, {once} once; {ran_once} ran once; {messages} messages"
    " of an owner at most; p95 of resets from click to start {wait_ms} ms, before {before_ms} ms"
)
ROLL_FORWARDS = "first sweep at most {longest} s after the older release in {rounds} roll-forwards; {named} times named"
DRILLS = (
    Drill("labs kill_holders 200 1", LOCKS),
    Drill("labs kill_import 50", IMPORTS),
    Drill("labs guess_passwords", GUESSES),
    Drill("labs deaths 100", DEATHS),
    Drill("labs --rabbitmq deaths 100", DEATHS),
    Drill("labs convert_films 300", FILMS),
    Drill("labs chaos 100", CHAOS),
    Drill("labs --rabbitmq chaos 100", CHAOS),
    Drill("labs recurring_runs 60", RUNS),
    Drill("labs --rabbitmq recurring_runs 60", RUNS),
    Drill("labs roll_back 20", ROLL_FORWARDS),
    Drill("labs --rabbitmq roll_back 20", ROLL_FORWARDS),
    Drill("labs alarms", ALARMS),
    Drill("labs --rabbitmq alarms", ALARMS),
    Drill("labs retry_many", RETRIES),
    Drill("labs --rabbitmq retry_many", RETRIES),
    Drill("labs silent_servers", SILENCE),
    Drill("labs --rabbitmq silent_servers", SILENCE),
)


def run(drill: Drill) -> dict[str, str]:
    """Run a drill. Returns its row of the table."""
    row = {"lab": drill.lab, "verdict": "skipped", "seconds": "", "figure": f"there is no {SERVER}"}
    if "--rabbitmq" in drill.lab and not SERVER.exists():
        return row
    print(drill.lab, flush=True)
    began, found = time.monotonic(), {}
    command = [sys.executable, "-m", *drill.lab.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as lab:  # noqa: S603 - ours
        try:
            for line in lab.stdout or ():
                print(f"  {line}", end="", flush=True)
                found = json.loads(line) if line.startswith("{") else found
        except KeyboardInterrupt:
            lab.terminate()
            raise
    row |= {"verdict": "BROKEN" if lab.returncode else "holds", "seconds": f"{time.monotonic() - began:.0f} s"}
    return row | {"figure": drill.figure.format_map(found) if found else "it ended without a figure"}


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops the lab, as Ctrl-C does
    load = os.getloadavg()[0]
    rows = [run(drill) for drill in DRILLS]
    print(f"\n{os.cpu_count()} processors, load {load:.1f} before the start")
    for row in rows:
        print(TABLE_LINE.format(**row))
    verdicts = {row["verdict"] for row in rows}
    return int("BROKEN" in verdicts or ("skipped" in verdicts and bool(os.environ.get("CI"))))


if __name__ == "__main__":
    sys.exit(main())
