"""Says of each of the nine practices whether it holds right now, by which figure."""

import json
import logging
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from workers.practices import Finding, registry

WORDS = {True: "holds", False: "DOES NOT", None: "unknown"}
HOLD, DO_NOT, UNKNOWN = 0, 1, 2  # exit codes


class Command(BaseCommand):
    help = "Measures the nine practices. Exit code 0: all hold, 1: something does not, 2: something is unknown."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For machines.")

    def handle(self, *_: Any, **options: Any) -> None:
        # The log goes to stdout too, and the findings say what did not answer: without its tracebacks, and in JSON.
        logging.disable()
        found = registry.verify_all()
        if options["json"]:
            self.stdout.write(json.dumps([self.row(*each) for each in found], indent=2))
        else:
            for practice, finding in found:
                self.say(practice, finding)
        holds = {finding.ok for _, finding in found}
        sys.exit(DO_NOT if False in holds else UNKNOWN if None in holds else HOLD)

    @staticmethod
    def row(practice: registry.Practice, finding: Finding) -> dict[str, Any]:
        return {"number": practice.number, "practice": practice.title, "file": practice.file} | asdict(finding)

    def say(self, practice: registry.Practice, finding: Finding) -> None:
        style = {True: self.style.SUCCESS, False: self.style.ERROR, None: self.style.WARNING}[finding.ok]
        word = style(f"{WORDS[finding.ok]:<9}")
        self.stdout.write(f"{practice.number} {practice.title:<16} {word} {finding.summary}")
        if finding.reason:
            self.stdout.write(f"  {finding.reason} ({practice.file})")
