"""`python -m labs` lists the experiments. `python -m labs 3` runs one on servers of its own, `--rabbitmq` on RabbitMQ.

A lab may fill, flush and stop its servers. It never connects to the servers that the environment names. The arguments
after the lab's name are its sizes, which its docstring explains.
"""

import ast
import os
import signal
import sys
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import django
from django.core.management import call_command

from devtools.isolated_site import isolated_site
from devtools.rabbitmq import fresh_node

FOLDER = Path(__file__).parent
LABS = {path.name.partition("_")[0]: path for path in sorted(FOLDER.glob("[1-9]_*.py"))}
NAMED = (
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops what it has started, as Ctrl-C does
    print(f"The load of this machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.", flush=True)
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
        sys.argv = words
        # After setup, because a lab imports models.
        return import_module(f"labs.{LABS[words[0]].stem}").main() or 0


if __name__ == "__main__":
    sys.exit(main())
