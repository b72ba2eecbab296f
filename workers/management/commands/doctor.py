"""`manage.py doctor`: measures the nine practices, and asks the object storage."""

import json
import logging
import sys
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from workers.deadline import run_with_deadline
from workers.practices import Finding, registry
from workers.storage import health

VERDICTS = {True: "holds", False: "FAILING", None: "unknown"}
ALL_HOLD, SOME_FAIL, SOME_UNKNOWN = 0, 1, 2  # exit codes


class Command(BaseCommand):
    help = "Measure the nine practices. Exit code 0: all hold, 1: at least one fails, 2: at least one is unknown."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        # The log goes to stdout too, and would break the JSON. The findings name each server that did not answer.
        logging.disable()
        rows = [self.as_row(*each) for each in registry.verify_all()]
        if settings.S3_BUCKET:
            finding = registry.to_finding(run_with_deadline({"storage": health.verify})["storage"])
            storage = {"number": None, "practice": "Storage", "file": "workers/storage/health.py"}
            rows.append(storage | {"runbook": health.RUNBOOK} | asdict(finding))
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            for row in rows:
                self.write_row(row)
        verdicts = {row["ok"] for row in rows}
        sys.exit(SOME_FAIL if False in verdicts else SOME_UNKNOWN if None in verdicts else ALL_HOLD)

    @staticmethod
    def as_row(practice: registry.Practice, finding: Finding) -> dict[str, Any]:
        about = {"number": practice.number, "practice": practice.title, "file": practice.file}
        return about | {"runbook": practice.runbook} | asdict(finding)

    def write_row(self, row: dict[str, Any]) -> None:
        style = {True: self.style.SUCCESS, False: self.style.ERROR, None: self.style.WARNING}[row["ok"]]
        verdict = style(f"{VERDICTS[row['ok']]:<9}")
        self.stdout.write(f"{row['number'] or '-'} {row['practice']:<16} {verdict} {row['summary']}")
        if row["reason"]:
            self.stdout.write(f"  {row['reason']} ({row['file']})")
            self.stdout.write(f"  What to do: {row['runbook']}")
