"""Examines the source in the working directory: `python exercises/examine.py HIDDEN_TEST` prints JSON.

rules: [id, message] of what the system check says. tests: of the hidden test, as [docstring, fault or ""]. It runs in a
process of the copy, so it imports nothing of ours. The servers are those of the environment or of the running copy.
"""

import inspect
import json
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path[0] = str(Path.cwd())  # `config` and `workers` are the copy's, not those beside this file

import django  # noqa: E402
import pytest  # noqa: E402
from django.core import checks  # noqa: E402
from django.db import transaction  # noqa: E402


class HiddenTests:
    """A pytest plugin: fixtures of the hidden tests, and what came of them."""

    def __init__(self) -> None:
        self.results: list[tuple[str, str]] = []

    @pytest.fixture
    def db(self) -> Iterator[None]:
        """A transaction of the migrated database that is rolled back at the end."""
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
        report = yield
        if call.when == "call" or report.failed:
            self.results.append((_docstring(item), _fault(call)))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.results.append(("The hidden test can be imported.", str(report.longrepr).splitlines()[-1]))


def _docstring(item: pytest.Item) -> str:
    function = getattr(item, "function", None)
    return (inspect.getdoc(function) or item.name).replace("\n", " ")


def _fault(call: pytest.CallInfo) -> str:
    """What the author of the test says in its `assert ..., "..."`; of any other error, its last line."""
    if call.excinfo is None:
        return ""
    message = str(call.excinfo.value).partition("\nassert ")[0]
    return message if call.excinfo.errisinstance(AssertionError) and message else call.excinfo.exconly()


def examine(hidden_tests: list[str]) -> dict[str, Any]:
    django.setup()
    messages = [message for message in checks.run_checks() if message.level >= checks.WARNING]
    plugin = HiddenTests()
    if hidden_tests:
        options = ["--import-mode=importlib", "--capture=sys", "-p", "no:cacheprovider", "-c", os.devnull, "-q"]
        pytest.main([*options, f"--rootdir={Path.cwd()}", *hidden_tests], plugins=[plugin])
    return {"rules": [(message.id, message.msg) for message in messages], "tests": plugin.results}


if __name__ == "__main__":
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with redirect_stdout(sys.stderr):
        found = examine(sys.argv[1:])
    print(json.dumps(found))
