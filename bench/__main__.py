"""`python -m bench [name ...]`: one table of the bars. `--quick`: a tiny size of each, a few seconds, nothing judged.

A module of this folder named in BARS or UNJUDGED has `measure(*, quick: bool) -> Iterator[Row]`. It finds servers that
only the bench uses, the database migrated, and Django set up. Exit code 1: a bar does not hold.
"""

import os
import platform
import signal
import sys
from argparse import ArgumentParser
from importlib import import_module

from django.core.management import call_command

from devtools.isolated_site import isolated_site, production_variables

BARS = ("overhead", "polls", "resets", "transcode", "history", "csv_import", "csv_rivals")
UNJUDGED = ("costs",)  # only by name: no bar, docs/scaling.md computes from it
COUNT_STATEMENTS = ("shared_preload_libraries=pg_stat_statements", "pg_stat_statements.track_planning=on")
COLUMNS = "{:<11}{:<54}{:>10}  {:<15}  {:<9} {}"
WORDS = {True: "holds", False: "DOES NOT", None: "-"}


def main() -> None:
    parser = ArgumentParser(prog="python -m bench", description="Measure the bars of the design.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BARS + UNJUDGED)}; all bars without")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    given = parser.parse_args()
    if unknown := set(given.names) - {*BARS, *UNJUDGED}:
        parser.error(f"no bar is named {', '.join(sorted(unknown))}: {', '.join(BARS + UNJUDGED)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    with isolated_site("bench", postgres_settings=COUNT_STATEMENTS) as folder:
        os.environ |= production_variables(folder) | {"LOG_LEVEL": "WARNING"}
        import_module("bench.wsgi")  # sets Django up
        call_command("migrate", verbosity=0)
        sys.exit(0 if run(given.names or BARS, quick=given.quick) else 1)


def run(names: tuple[str, ...] | list[str], *, quick: bool) -> bool:
    """Prints a line as soon as it is measured. False if a bar does not hold."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} processors, {platform.machine()}, load before the start {load}\n")
    print(COLUMNS.format("name", "bar", "measured", "wanted", "", "note"))
    good = True
    for name in names:
        for row in import_module(f"bench.{name}").measure(quick=quick):
            holds = None if quick else row.holds
            good = good and holds is not False
            figure = f"{row.figure:.3g} {row.unit}"
            print(COLUMNS.format(name, row.what, figure, row.wanted, WORDS[holds], row.note).rstrip(), flush=True)
    return good


if __name__ == "__main__":
    main()
