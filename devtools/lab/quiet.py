"""A result is saved from a quiet machine only: one whose load stands below MAX_LOAD before the first server starts."""

import os
import sys
import time

MAX_LOAD = 1.0  # of the last minute


def wait_for_quiet(seconds: float) -> float:
    """The load, which what ran before may leave high for a while. SystemExit if it is still high after `seconds`."""
    deadline = time.monotonic() + seconds
    while (load := os.getloadavg()[0]) >= MAX_LOAD:
        said = f"The load of this machine is {load:.1f}."
        if time.monotonic() >= deadline:
            raise SystemExit(f"{said} A result is saved below {MAX_LOAD:g} only: stop what else runs.")
        print(f"{said} Waiting until it is below {MAX_LOAD:g} ...", file=sys.stderr)
        time.sleep(10)
    return load
