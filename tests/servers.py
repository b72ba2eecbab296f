"""The tests' own PostgreSQL and Valkeys, and the environment of a site outside DEBUG.

A pytest plugin (`-p tests.servers`): it must come before pytest-django reads the settings. With `-n`, each process
that runs tests has servers of its own. The process that distributes the tests has none.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from devtools.isolated_site import isolated_site, production_variables

# A test that commits would spend half its time on these, and no data of a test must survive a power cut.
WITHOUT_SYNC = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
NO_SERVERS = {
    "DATABASE_URL": "postgres://127.0.0.1:1/nobody",
    "BROKER_URL": "redis://127.0.0.1:1/0",
    "REDIS_URL": "redis://127.0.0.1:1/1",
}

running = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Start the servers. A wrapper runs before all plain hooks, and so before pytest-django's."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM cleans up as Ctrl-C does
    is_distributor = early_config.known_args_namespace.numprocesses and "PYTEST_XDIST_WORKER" not in os.environ
    try:
        if is_distributor:
            folder = Path(running.enter_context(TemporaryDirectory(prefix="mediaapp-tests-")))
            os.environ |= NO_SERVERS | {"LOCAL_DIR": str(folder)}
        else:
            folder = running.enter_context(isolated_site("tests", postgres_settings=WITHOUT_SYNC))
        os.environ |= production_variables(folder) | {"SITE_URL": "http://testserver"}
        return (yield)
    except BaseException:
        running.close()
        raise


def pytest_unconfigure() -> None:
    """Stop the servers and delete their data."""
    running.close()
