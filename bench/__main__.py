"""`python -m bench [name ...]`: one table of the bars. `--quick`: a tiny size of each, a few seconds, nothing judged.

A module of this folder named in BARS has `measure(*, quick: bool) -> Iterator[Row]`. It finds servers that only the
bench uses, the database migrated, and Django set up. Exit code 1: a bar does not hold.
"""

import os
import platform
import sys
from argparse import ArgumentParser
from importlib import import_module

import django
from django.core.management import call_command

from bench.processes import servers
from bench.rows import Row

BARS = ("overhead", "throughput", "transcode")
WORDS = {True: "holds", False: "DOES NOT", None: "-"}


def main() -> None:
    parser = ArgumentParser(prog="python -m bench", description="Measure the bars of the design.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BARS)}; all without")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures mean nothing")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BARS):
        parser.error(f"no bar is named {', '.join(sorted(unknown))}: {', '.join(BARS)}")
    with servers():
        django.setup()
        call_command("migrate", verbosity=0)
        sys.exit(0 if run(given.names or BARS, quick=given.quick) else 1)


def run(names: tuple[str, ...] | list[str], *, quick: bool) -> bool:
    """Prints a line as soon as it is measured. False if a bar does not hold."""
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"{os.cpu_count()} processors, {platform.machine()}, load before the start {load}\n")
    print(f"{'bar':<62}{'measured':>12}  {'wanted':<18}{'':<10}note")
    good = True
    for name in names:
        for row in import_module(f"bench.{name}").measure(quick=quick):
            holds = None if quick else row.holds
            good = good and holds is not False
            print(line(row, WORDS[holds]), flush=True)
    return good


def line(row: Row, word: str) -> str:
    """One row as text."""
    return f"{row.what:<62}{f'{row.figure:.3g} {row.unit}':>12}  {row.wanted:<18}{word:<10}{row.note}".rstrip()


if __name__ == "__main__":
    main()
