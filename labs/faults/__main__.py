"""Does Celery still do what docs/facts says? `python -m labs.faults [--rabbitmq] [--only ID ...] [--json] [--save]`.

Each fault is made twice on servers of its own, without this project's fix and with it. `--list` names them, `--save`
writes docs/results/faults.json and docs/what-celery-does.md. Exit code 1 if one comes out otherwise.
"""

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import django
from celery import current_app
from django.core.management import call_command
from kombu import pools

from devtools.isolated_site import isolated_site
from devtools.lab.quiet import wait_for_quiet
from devtools.rabbitmq import SERVER, fresh_node

if TYPE_CHECKING:
    from labs.faults.brokers import Broker
    from labs.faults.experiment import Outcome

MAX_WAIT_SECONDS = 300  # `make faults ARGS=--save` comes here right after the faults of Valkey
PARSER = argparse.ArgumentParser(prog="python -m labs.faults", description="Does Celery still do what docs/facts says?")
PARSER.add_argument("--rabbitmq", action="store_true", help="on RabbitMQ instead of Valkey")
PARSER.add_argument("--only", nargs="+", metavar="ID", default=[], help="these faults")
PARSER.add_argument("--list", action="store_true", help="name the faults, and run none")
PARSER.add_argument("--json", action="store_true", help="print the results as JSON")
PARSER.add_argument("--save", action="store_true", help="write docs/results/faults.json and docs/what-celery-does.md")


def main() -> int:
    options = PARSER.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    if options.list:
        return list_faults()
    if options.rabbitmq and not SERVER.exists():
        print(f"There is no {SERVER}: the faults of RabbitMQ do not run.", file=sys.stderr)
        return 0
    load = wait_for_quiet(MAX_WAIT_SECONDS) if options.save else os.getloadavg()[0]
    with ExitStack() as stack:
        folder = str(stack.enter_context(isolated_site("faults")))
        os.environ |= {"DEBUG": "true", "LOG_LEVEL": "ERROR", "TMPDIR": folder}
        node = stack.enter_context(fresh_node()) if options.rabbitmq else None
        if node:
            os.environ |= {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}
        django.setup()
        call_command("migrate", verbosity=0)
        # After setup, because they import models.
        from labs.faults import brokers, report  # noqa: PLC0415

        broker = brokers.RabbitMQ(node) if node else brokers.Valkey()
        began = time.monotonic()
        outcomes = run_all(broker, options.only)
        measured = report.describe(broker, load, time.monotonic() - began, outcomes)
    print(json.dumps(measured) if options.json else report.to_text(measured))
    if options.save:
        report.save(measured)
    return int(any(outcome.verdict for outcome in outcomes))


def run_all(broker: "Broker", only: list[str]) -> list["Outcome"]:
    from labs.faults import report  # noqa: PLC0415
    from labs.faults.experiment import run  # noqa: PLC0415
    from labs.faults.experiments import FAULTS  # noqa: PLC0415

    if unknown := set(only) - {fault.id for fault in FAULTS}:
        raise SystemExit(f"There is no fault {', '.join(sorted(unknown))}. See --list.")
    # Now: the site's publish cannot shrink the pool of a process in which another publish hangs.
    pools.set_limit(current_app.conf.broker_pool_limit)
    chosen = [fault for fault in FAULTS if fault.applies_to(broker) and fault.id in (only or [fault.id])]
    seconds, outcomes = report.saved_seconds(broker), []
    print(f"{len(chosen)} faults, {sum(seconds.get(each.id, 0) for each in chosen):.0f} s", file=sys.stderr)
    for number, fault in enumerate(chosen, 1):
        took = f"{seconds[fault.id]:.0f} s" if fault.id in seconds else "new"
        print(f"{number:>2}/{len(chosen)} {fault.id} ({took}) ...", end=" ", flush=True, file=sys.stderr)
        outcomes.append(outcome := run(fault(broker)))
        print(f"{outcome.seconds:.0f} s {outcome.verdict}", flush=True, file=sys.stderr)
    return outcomes


def list_faults() -> int:
    os.environ |= {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings"}
    django.setup()
    from labs.faults.experiments import FAULTS  # noqa: PLC0415

    for fault in FAULTS:
        print(f"{fault.id:<28} {' '.join((fault.__doc__ or '').split())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
