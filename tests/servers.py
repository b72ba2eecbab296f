"""The tests' own PostgreSQL and Valkeys, and the environment of a site that is not in DEBUG.

A pytest plugin (`-p tests.servers`): it must come before pytest-django reads the settings.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mediaapp import embedded

# Nothing here has to survive a power cut: half the time of a test that commits is waiting for it.
HASTY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")

running = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Iterator[None]:
    """Start the servers. A wrapper runs before all plain hooks, and so before pytest-django's."""
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="mediaapp-tests-")))
    urls = running.enter_context(embedded.running(folder, postgres_settings=HASTY))
    os.environ |= urls | {
        "DEBUG": "false",
        "SECRET_KEY": "of-the-tests",
        "SITE_URL": "http://testserver",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "EMAIL_URL": f"filemail:///{folder}/mail",
        "LOCAL_DIR": str(folder),
        "MEDIA_ROOT": str(folder / "media"),
    }
    try:
        return (yield)
    except BaseException:
        running.close()
        raise


def pytest_unconfigure() -> None:
    """Stop them and forget their data."""
    running.close()
