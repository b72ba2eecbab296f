"""`python -m workers.audit proj.celery:app`: run it in the project's folder, in its environment."""

import argparse
import sys
from pathlib import Path

from workers.audit.loading import AppUnreadableError, forbid_connections, load_app, read_project
from workers.audit.report import UNKNOWN, as_json, as_text, audit, exit_code


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.audit", description=__doc__)
    parser.add_argument("app", help="as for celery -A: proj, or proj.celery:app")
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with the process files; else this one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    forbid_connections()
    try:
        project = read_project(load_app(arguments.app), arguments.root, arguments.app)
    except AppUnreadableError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return UNKNOWN
    messages = audit(project)
    print(as_json(messages) if arguments.json else "\n".join(as_text(project, messages)))  # noqa: T201
    return exit_code(messages)


if __name__ == "__main__":
    sys.exit(main())
