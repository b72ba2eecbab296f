"""Asks the doctor in the tests' own process, whose log it silences until its end."""

import logging
from io import StringIO

import pytest
from django.core.management import call_command


def ask_doctor(*options: str) -> tuple[str, int]:
    """What it prints, and its exit code."""
    printed = StringIO()
    try:
        with pytest.raises(SystemExit) as ended:
            call_command("doctor", *options, stdout=printed, no_color=True)
    finally:
        logging.disable(logging.NOTSET)
    return printed.getvalue(), ended.value.code
