"""The tests' own PostgreSQL and Valkeys, and the environment of a site that is not in DEBUG.

A pytest plugin (`-p tests.servers`): it must come before pytest-django reads the settings. With `-n`, each process
that runs tests has servers of its own, and the one that only hands them out has none.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from devtools import embedded

# Nothing here has to survive a power cut: half the time of a test that commits is waiting for it.
HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
NO_SERVERS = {
    "DATABASE_URL": "postgres://127.0.0.1:1/nobody",
    "BROKER_URL": "redis://127.0.0.1:1/0",
    "REDIS_URL": "redis://127.0.0.1:1/1",
}

running = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the servers. A wrapper runs before all plain hooks, and so before pytest-django's."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is told to end tidies up as after Ctrl-C
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mediaapp-tests-")))
    hands_out = early_config.known_args_namespace.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ
    try:
        urls = NO_SERVERS if hands_out else running.enter_context(embedded.running(folder, postgres_settings=HASTY))
        os.environ |= urls | {
            "DEBUG": "false",
            "SECRET_KEY": "of-the-tests",
            "SITE_URL": "http://testserver",
            "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
            "EMAIL_URL": f"filemail:///{folder}/mail",
            "LOCAL_DIR": str(folder),
            "MEDIA_ROOT": str(folder / "media"),
        }
        return (yield)
    except BaseException:
        running.close()
        raise


def pytest_unconfigure() -> None:
    """Stop them and forget their data."""
    running.close()
