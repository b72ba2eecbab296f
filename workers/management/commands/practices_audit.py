"""`manage.py practices_audit`: what `python -m workers.audit` says of this project's app."""

import sys
from pathlib import Path
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandParser

from workers.audit.loading import load_tasks, read_project
from workers.audit.report import as_json, as_text, audit, exit_code


class Command(BaseCommand):
    help = (
        "Read the app, the schedule and the process files. Exit code 0: nothing found, 1: something, 2: unknown only."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--root", type=Path, default=Path(), help="The folder with the process files; else this one."
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        load_tasks(current_app)
        project = read_project(current_app, options["root"])
        messages = audit(project)
        self.stdout.write(as_json(messages) if options["json"] else "\n".join(as_text(project, messages)))
        sys.exit(exit_code(messages))
