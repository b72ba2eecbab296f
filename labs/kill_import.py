"""Does a killed import end like an undisturbed one? `python -m labs.kill_import [rounds]` (10 s a round).

It empties the catalogue for each round, on servers of its own. The rounds are in labs/killed_imports.py, which imports
models: Django must be set up before.
"""

import os
import signal
import sys
from importlib import import_module

from devtools.isolated_site import isolated_site, production_variables


def main(rounds: int) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    with isolated_site("kill-import") as folder:
        os.environ |= production_variables(folder) | {"LOG_LEVEL": "WARNING"}
        import_module("bench.wsgi")  # sets Django up
        return int(import_module("labs.killed_imports").drill(rounds) < rounds)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
