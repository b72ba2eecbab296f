"""A site of their own for tests, labs and the bench.

They empty tables, flush caches and stop servers: they must never meet a site that somebody uses.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from devtools import embedded

SERVER_VARIABLES = ("DATABASE_URL", "BROKER_URL", "CLOUDAMQP_URL", "REDIS_URL", "LOCKS_URL", "BROKER_MANAGEMENT_URL")


@contextmanager
def isolated_site(name: str, *, postgres_settings: Collection[str] = ()) -> Iterator[Path]:
    """Runs servers in a new folder, which it yields. Changes os.environ for good. Raises ServerError."""
    for variable in SERVER_VARIABLES:
        os.environ.pop(variable, None)
    with (
        TemporaryDirectory(prefix=f"mediaapp-{name}-") as folder,
        embedded.run_servers(Path(folder), postgres_settings=postgres_settings) as urls,
    ):
        os.environ |= urls | {"LOCAL_DIR": folder, "MEDIA_ROOT": f"{folder}/media", "S3_BUCKET": ""}
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        yield Path(folder)


def production_variables(folder: Path) -> dict[str, str]:
    return {
        "DEBUG": "false",
        "SECRET_KEY": "of-an-isolated-site",
        "SITE_URL": "http://127.0.0.1",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "EMAIL_URL": f"filemail:///{folder}/mail",
    }
