"""Is a killed import the same as one that nobody disturbed? `python -m labs.kill_import [rounds]` (10 s a round).

On servers of its own, whatever the environment names: it empties the catalogue again and again. The rounds stand in a
file of their own, which imports models: Django must be set up before.
"""

import os
import signal
import sys
from importlib import import_module

from devtools.isolated_site import isolated_site, production_variables


def main(rounds: int) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it stops what it started
    with isolated_site("kill-import") as folder:
        os.environ |= production_variables(folder) | {"LOG_LEVEL": "WARNING"}
        import_module("bench.wsgi")  # sets Django up
        return int(import_module("labs.killing").drill(rounds) < rounds)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
