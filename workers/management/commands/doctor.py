"""`manage.py doctor`: measures the nine practices."""

import json
import logging
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers.practices import Finding, registry

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
        found = registry.verify_all()
        if options["json"]:
            self.stdout.write(json.dumps([self.as_row(*each) for each in found], indent=2))
        else:
            for practice, finding in found:
                self.write_finding(practice, finding)
        verdicts = {finding.ok for _, finding in found}
        sys.exit(SOME_FAIL if False in verdicts else SOME_UNKNOWN if None in verdicts else ALL_HOLD)

    @staticmethod
    def as_row(practice: registry.Practice, finding: Finding) -> dict[str, Any]:
        return {"number": practice.number, "practice": practice.title, "file": practice.file} | asdict(finding)

    def write_finding(self, practice: registry.Practice, finding: Finding) -> None:
        style = {True: self.style.SUCCESS, False: self.style.ERROR, None: self.style.WARNING}[finding.ok]
        verdict = style(f"{VERDICTS[finding.ok]:<9}")
        self.stdout.write(f"{practice.number} {practice.title:<16} {verdict} {finding.summary}")
        if finding.reason:
            self.stdout.write(f"  {finding.reason} ({practice.file})")
