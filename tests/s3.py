"""Fixtures of an S3 server: one for all tests, and a bucket for each test that asks."""

import functools
import secrets
from collections.abc import Iterator

import pytest
from botocore import loaders
from botocore.config import Config
from django.core.management import call_command

from devtools.s3 import fresh_s3_server
from workers.storage import object_storage

TIMEOUT_SECONDS = 60  # a machine that runs the tests may be slower than the site's own timeouts allow


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """The environment of a process that may use the server."""
    with fresh_s3_server() as environment, pytest.MonkeyPatch.context() as patch:
        # Else each storage of each test reads botocore's 1 MB of JSON anew: a quarter of a second of a processor.
        patch.setattr("botocore.session.create_loader", functools.cache(loaders.create_loader))
        yield environment


@pytest.fixture
def bucket(s3: dict[str, str], settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a site with an empty bucket, which this process is set to as well."""
    environment = s3 | {"S3_BUCKET": f"bucket-{secrets.token_hex(4)}"}
    for name, value in environment.items():
        setattr(settings, name, value)
    patient = Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS)
    monkeypatch.setattr("workers.storage.object_storage.CLIENT_CONFIG", object_storage.CLIENT_CONFIG.merge(patient))
    in_bucket = {"default": {"BACKEND": "workers.storage.object_storage.ObjectStorage"}}
    settings.STORAGES = settings.STORAGES | in_bucket
    call_command("prepare_storage")
    return environment
