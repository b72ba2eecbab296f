"""A program: runs exercises/examine.py in a fork for each line of its input, which is [folder, hidden test, ...].

The imports of Django and Celery are half of an examination, and are made here once. Nothing of the project is imported
before the fork, because each folder has its own. Prints [exit code, stdout, stderr] for each line.
"""

import json
import os
import runpy
import sys
import tempfile
from pathlib import Path
from traceback import print_exc

import celery.app.amqp
import celery.app.task
import celery.fixups.django
import celery.schedules
import celery.signals
import csp.constants
import django.contrib.admin
import django.core.management
import django.db.backends.postgresql.base
import django.test
import django.views.generic
import django_redis
import environ
import kombu.transport.redis
import pytest

PRELOADED = (celery, csp, django, django_redis, environ, kombu, pytest)
EXAMINE = Path(__file__).parent.parent / "exercises" / "examine.py"


def examine(folder: str, hidden_tests: list[str]) -> None:
    os.chdir(folder)
    sys.argv = [str(EXAMINE), *hidden_tests]
    runpy.run_path(str(EXAMINE), run_name="__main__")


def in_fork(folder: str, *hidden_tests: str) -> list:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        if not (pid := os.fork()):
            code = 1
            try:
                for number, file in enumerate((out, errors), 1):
                    os.dup2(file.fileno(), number)
                examine(folder, list(hidden_tests))
                code = 0
            except BaseException:
                print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for file in (out, errors):
            file.seek(0)
        return [code, out.read(), errors.read()]


if __name__ == "__main__":
    for line in sys.stdin:
        answer = json.dumps(in_fork(*json.loads(line)))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
