"""`python -m labs` lists the experiments. `python -m labs 3` runs one on servers of its own, `--rabbitmq` on RabbitMQ.

What stands after the number are the lab's sizes; its docstring says which.
"""

import ast
import os
import sys
from importlib import import_module
from pathlib import Path

from labs import servers

LABS = {path.name.partition("_")[0]: path for path in sorted(Path(__file__).parent.glob("[1-9]_*.py"))}


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--rabbitmq"]
    if not words or words[0] not in LABS:
        for number, path in LABS.items():
            print(number, (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0])
        return int(bool(words))
    load = os.getloadavg()[0]
    with servers.running(rabbitmq="--rabbitmq" in sys.argv):
        print(f"The load of this machine before: {load:.1f} on {os.cpu_count()} cores.")
        sys.argv = words
        return import_module(f"labs.{LABS[words[0]].stem}").main() or 0


if __name__ == "__main__":
    sys.exit(main())
