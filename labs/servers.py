"""Servers of a lab's own, and workers on them: a lab may fill, flush and stop them, and no site is near.

PostgreSQL (migrated) and two Valkeys as `make run` has them, or a small RabbitMQ in place of one, in a folder that is
gone at the end. Small, so that they can be filled in seconds.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

from mediaapp import embedded
from tests.rabbitmq import fresh_node

ROOT = Path(__file__).resolve().parent.parent
RABBITMQ_MEMORY = "vm_memory_high_watermark.absolute = 190MB\n"  # 150 MB are its own
START_SECONDS = 60


@contextmanager
def running(*, rabbitmq: bool = False) -> Iterator[None]:
    """Starts them and sets Django up on them: a lab is imported inside."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mediaapp-lab-")))
        os.environ |= stack.enter_context(embedded.running(folder))
        if rabbitmq:
            node = stack.enter_context(fresh_node(RABBITMQ_MEMORY))
            os.environ |= {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": node.management}
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "true",
            "LOCAL_DIR": str(folder),
            "MEDIA_ROOT": str(folder / "media"),
            "EMAIL_URL": f"filemail:///{folder}/mail",
            "LOG_LEVEL": "ERROR",
        }
        django.setup()
        call_command("migrate", verbosity=0)
        yield


@contextmanager
def worker(name: str, queues: str, *, concurrency: int, include: str, prefetch: int = 1) -> Iterator[None]:
    """A worker that is ready to read `queues`; killed with its children at the end.

    include: the module whose tasks it has beside the site's.
    """
    ready = Path(tempfile.mkdtemp(dir=settings.LOCAL_DIR))
    queue_options = (
        f"--hostname {name}@%h --queues {queues} --concurrency {concurrency} --prefetch-multiplier {prefetch}"
    )
    quiet = "--without-gossip --without-mingle --without-heartbeat --loglevel ERROR"
    command = f"{sys.executable} -m celery --quiet --app config worker {queue_options} --include {include} {quiet}"
    environment = os.environ | {"READY_DIR": str(ready), "PROCESS": name}
    with (ready / "log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - nothing in it comes from outside
            shlex.split(command), cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while not (ready / name).exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {(ready / 'log').read_text()[-4000:]}")
            time.sleep(0.05)
        yield
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
