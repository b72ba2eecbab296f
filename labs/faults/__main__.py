"""Does Celery still do what docs/facts says? `python -m labs.faults [--rabbitmq] [--only ID ...] [--json] [--save]`.

Each fault is made twice on servers of its own, without this project's fix and with it. `--list` names them, `--save`
writes docs/results/faults.json and the table of docs/what-celery-does.md. Exit code 1 if one comes out otherwise.
"""

import argparse
import json
import os
import signal
import sys
import time
from contextlib import ExitStack

import django
from django.core.management import call_command

from devtools.isolated_site import isolated_site
from devtools.rabbitmq import SERVER, fresh_node

PARSER = argparse.ArgumentParser(prog="python -m labs.faults", description="Does Celery still do what docs/facts says?")
PARSER.add_argument("--rabbitmq", action="store_true", help="on RabbitMQ instead of Valkey")
PARSER.add_argument("--only", nargs="+", metavar="ID", default=[], help="these faults")
PARSER.add_argument("--list", action="store_true", help="name the faults, and run none")
PARSER.add_argument("--json", action="store_true", help="print the results as JSON")
PARSER.add_argument("--save", action="store_true", help="write docs/results/faults.json and the table of the docs")


def main() -> int:
    options = PARSER.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    if options.list:
        return list_faults()
    if options.rabbitmq and not SERVER.exists():
        print(f"There is no {SERVER}: the faults of RabbitMQ do not run.", file=sys.stderr)
        return 0
    load = os.getloadavg()[0]
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
        from labs.faults.experiments import FAULTS  # noqa: PLC0415
        from labs.faults.fault import run  # noqa: PLC0415

        broker = brokers.RabbitMQ(node) if node else brokers.Valkey()
        chosen = [each for each in FAULTS if each.applies_to(broker) and each.id in (options.only or [each.id])]
        began, results = time.monotonic(), []
        for number, fault in enumerate(chosen, 1):
            print(f"{number:>2}/{len(chosen)} {fault.id} ({fault.seconds} s) ...", end=" ", flush=True, file=sys.stderr)
            results.append(result := run(fault(broker)))
            print(f"{result.seconds:.0f} s {result.verdict}", flush=True, file=sys.stderr)
        measured = report.describe(broker, load, time.monotonic() - began, results)
    print(json.dumps(measured) if options.json else report.to_text(measured))
    if options.save:
        report.save(measured)
    return int(any(result.verdict for result in results))


def list_faults() -> int:
    os.environ |= {"DEBUG": "true", "DJANGO_SETTINGS_MODULE": "config.settings"}
    django.setup()
    from labs.faults.experiments import FAULTS  # noqa: PLC0415

    for fault in FAULTS:
        print(f"{fault.id:<28} {' '.join((fault.__doc__ or '').split())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
