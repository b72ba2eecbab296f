"""Do jobs wait as `manage.py budget` says? `python -m labs.forecast [seconds of each] [jobs a second]` (18 minutes).

Sleeping jobs come at random to two workers, as budget would see it; from that alone it says how long they wait with
one worker, two and three. Then the same jobs come to one and to three. Printed: what was said beside what was
measured. The rounds stand in a file of their own, which imports models: Django must be set up before.
"""

import os
import signal
import sys
from importlib import import_module

import django
from django.core.management import call_command

from labs import processes


def main(seconds: float, a_second: float) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it stops what it started
    print(f"The load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.", flush=True)
    with processes.servers():
        django.setup()
        call_command("migrate", verbosity=0)
        import_module("labs.arrivals").compare(seconds, a_second)
    return 0


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]]
    sys.exit(main(*given, *(300.0, 4.6)[len(given) :]))
