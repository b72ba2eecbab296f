"""`python -m bench [name ...]` prints one table of the bars. `--quick`: tiny sizes, a few seconds, no verdicts.

A module named in BARS or UNJUDGED has `measure(*, quick: bool) -> Iterator[Row]`. When it runs, servers of its own are
up, the database is migrated, and Django is set up. Exit code 1: a bar does not hold.
"""

import os
import platform
import signal
import sys
from argparse import ArgumentParser
from importlib import import_module

from django.core.management import call_command

from devtools.isolated_site import isolated_site, production_variables

BARS = (
    "overhead",
    "tracing",
    "polls",
    "slow_clients",
    "resets",
    "turns",
    "retention",
    "transcode",
    "history",
    "collecting",
    "csv_import",
    "csv_rivals",
)
UNJUDGED = ("costs", "large_files")  # have no bar, run only by their names; docs/scaling.md computes from costs
COUNT_STATEMENTS = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
COLUMNS = "{:<13}{:<60}{:>10}  {:<15}  {:<9} {}"
VERDICTS = {True: "holds", False: "FAILS", None: "-"}


def main() -> None:
    parser = ArgumentParser(prog="python -m bench", description="Measure the bars of the design.")
    known = BARS + UNJUDGED
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(known)}; default: all bars")
    parser.add_argument("--quick", action="store_true", help="show that it runs; the figures mean nothing")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - {*known}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    with isolated_site("bench", postgres_settings=COUNT_STATEMENTS) as folder:
        os.environ |= production_variables(folder) | {"LOG_LEVEL": "WARNING"}
        import_module("bench.wsgi")  # sets Django up
        call_command("migrate", verbosity=0)
        sys.exit(0 if run(arguments.names or BARS, quick=arguments.quick) else 1)


def run(names: tuple[str, ...] | list[str], *, quick: bool) -> bool:
    """Prints each row as soon as it is measured. False if a bar does not hold."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} processors, {platform.machine()}, load before the start {load}\n")
    print(COLUMNS.format("name", "what", "measured", "bar", "", "note"))
    all_hold = True
    for name in names:
        for row in import_module(f"bench.{name}").measure(quick=quick):
            is_met = None if quick else row.is_met
            all_hold = all_hold and is_met is not False
            figure = f"{row.figure:.3g} {row.unit}"
            print(COLUMNS.format(name, row.label, figure, row.bar, VERDICTS[is_met], row.note).rstrip(), flush=True)
    return all_hold


if __name__ == "__main__":
    main()
