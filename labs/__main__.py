"""`make lab N=3` or `python -m labs 3` runs the lab of practice 3, `python -m labs` lists all.

A lab runs on servers of its own, and may fill, flush and stop them. It never connects to the servers that the
environment names. A lab that is named by a word has arguments of its own, which its docstring explains.
"""

import argparse
import ast
import json
import os
import shlex
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import django
from django.core.management import call_command

from devtools.isolated_site import isolated_site
from devtools.lab import Lab, chapters, chart, result, table
from devtools.lab.quiet import wait_for_quiet
from devtools.lab.run import Options, faults_of, run_lab
from devtools.processes import ROOT
from devtools.rabbitmq import fresh_node

FOLDER = Path(__file__).parent
LABS = {path.name.partition("_")[0]: path for path in sorted(FOLDER.glob("[1-9]_*.py"))}
NAMED = (
    "kill_holders",
    "recurring_runs",
    "kill_import",
    "guess_passwords",
    "deaths",
    "convert_films",
    "silent_servers",
    "chaos",
    "roll_back",
    "alarms",
    "retry_many",
)
LABS |= {name: FOLDER / f"{name}.py" for name in NAMED}


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--rabbitmq"]
    if not words or words[0] not in LABS:
        if words:
            print(f"There is no lab {words[0]}. There are:")
        for number, path in LABS.items():
            print(number, (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0])
        return int(bool(words))
    given = parse(words[1:]) if words[0].isdigit() else None
    load = wait_for_quiet(0) if given and given.save else os.getloadavg()[0]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    print(f"The load of this machine before: {load:.1f} on {os.cpu_count()} cores.", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        folder = str(stack.enter_context(isolated_site("labs")))
        # ERROR: a lab provokes warnings. TMPDIR: killed workers leave files.
        os.environ |= {"DEBUG": "true", "LOG_LEVEL": "ERROR", "TMPDIR": folder}
        if "--rabbitmq" in sys.argv:
            node = stack.enter_context(fresh_node())
            # With the node's environment, a lab can call rabbitmqctl.
            os.environ |= {**node.environment, "BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}
        django.setup()
        call_command("migrate", verbosity=0)
        command = shlex.join(["python", "-m", "labs", *sys.argv[1:]])
        # After setup, because a lab imports models.
        module = import_module(f"labs.{LABS[words[0]].stem}")
        if given:
            return run(module.LAB, given, command, load)
        sys.argv = words
        return module.main() or 0


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m labs", description="--rabbitmq runs it on RabbitMQ.")
    parser.add_argument("sizes", nargs="*", metavar="size=number", help="a size of the lab, such as videos=24")
    parser.add_argument("--rounds", type=int, help="how often each arm runs")
    parser.add_argument("--seed", type=int, default=1, help="of the order of the arms, and of all chance in them")
    parser.add_argument("--short", action="store_true", help="the smallest sizes, one round")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, too")
    parser.add_argument("--save", action="store_true", help="into docs/results, from where the chapters have it")
    return parser.parse_args(words)


def run(lab: Lab, given: argparse.Namespace, command: str, load: float) -> int:
    """Run it, show it, and keep it for the page of the practice. 1 if the run does not show what the lab is about."""
    sizes = {**lab.sizes, **(lab.short if given.short else {}), **read_sizes(lab, given.sizes)}
    rounds = given.rounds or (1 if given.short else lab.rounds)
    found = run_lab(lab, Options(rounds, given.seed, sizes, command, load))
    print(f"{lab.number}. {lab.question}\n\n{table.text_table(found)}\n\n{found.sentence}\n{found.source}")
    faults = faults_of(lab, found)
    for fault in faults:
        print(f"This run does not show it. {fault}")
    if given.save and not faults:
        path = result.path_of(lab.number, found.broker)
        result.save(found, path)
        path.with_suffix(".svg").write_text(chart.draw_chart(found))
        chapters.main()
    if not given.short:
        result.save(found, result.path_of(lab.number, found.broker, ROOT / ".local/labs"))
    if given.json:
        print(json.dumps(asdict(found)))
    return int(bool(faults))


def read_sizes(lab: Lab, words: list[str]) -> dict[str, float]:
    sizes = {name: float(value) for name, _, value in (word.partition("=") for word in words)}
    if unknown := sorted(sizes.keys() - lab.sizes.keys()):
        raise SystemExit(f"Lab {lab.number} has no size {unknown[0]}. It has {', '.join(lab.sizes)}.")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
