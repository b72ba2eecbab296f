"""What a test does in another process of the site, which has its own broker and its own Celery app."""

import subprocess
import sys

from devtools.processes import DEADLINE_SECONDS, ROOT
from tests.conftest import environment
from tests.rabbitmq import PATIENCE

BE_PATIENT = f"from workers.brokers.connection import SHORT_TIMEOUTS; SHORT_TIMEOUTS.update({PATIENCE!r})"


def run(code: str, *, patient: bool = True, **more: str) -> str:
    """Runs Python code where the site is set up; `more` is its environment. Returns what it printed.

    patient: a publish waits longer than the site lets it, so that a busy broker is not taken for one that is away.
    False for code that looks at SHORT_TIMEOUTS.
    """
    code = f"{BE_PATIENT}; {code}" if patient else code
    command = [sys.executable, "-c", f"import django; django.setup(); {code}"]
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(**settings | more),
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def publish(task: str, queue: str, count: int = 1, **more: str) -> None:
    """Sends tasks whose jobs do not exist: a worker takes each and has nothing to do for it."""
    ids = f"[str(uuid.uuid4()) for _ in range({count})]"
    run(
        f"import uuid; from workers.runtime import publishing; "
        f"[publishing.publish({task!r}, each, {queue!r}) for each in {ids}]",
        **more,
    )
