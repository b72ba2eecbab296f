"""A private S3 server (SeaweedFS) for the tests that need object storage: own ports, loopback only.

A bucket for each who asks. Why each word of the command is there: docs/facts/servers.md#private-s3-server.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.management import call_command

from devtools.ports import free_port
from tests.rabbitmq import killed_at_the_end
from workers.storage import object_storage

WEED = Path(sys.executable).with_name("weed")
SERVERS = ("s3", "master", "volume", "filer", "admin")
START_SECONDS = 60
PATIENCE = 60  # seconds; a machine that runs the tests may be slower than a router lets a bucket be


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """The environment of a process that may use a fresh server, which ends with the tests; a second to start."""
    key, secret = f"key{secrets.token_hex(4)}", secrets.token_hex(16)
    ports = {f"{name}.port{kind}": free_port() for name in SERVERS for kind in ("", ".grpc")}
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        (data := Path(folder, "data")).mkdir()
        command = [
            *(str(WEED), "-logtostderr=true", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
            *(f"-{name}={port}" for name, port in ports.items()),
            *("-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            "-master.telemetry=false",
        ]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "TMPDIR": folder,  # where it leaves its sockets
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        log = Path(folder, "weed.log")
        with killed_at_the_end(command, environment, log) as server:
            url = f"http://127.0.0.1:{ports['s3.port']}"
            deadline = time.monotonic() + START_SECONDS
            while not keeps_files(url, key, secret):
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"SeaweedFS did not start:\n{log.read_text()[-4000:]}")
                time.sleep(0.05)
            yield {
                "S3_ENDPOINT_URL": url,
                "S3_PUBLIC_URL": url,
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_REGION": "us-east-1",
            }


@pytest.fixture
def bucket(s3: dict[str, str], settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a site with an empty bucket, which this process is set to as well."""
    environment = s3 | {"S3_BUCKET": f"bucket-{secrets.token_hex(4)}"}
    for name, value in environment.items():
        setattr(settings, name, value)
    patient = Config(connect_timeout=PATIENCE, read_timeout=PATIENCE)
    monkeypatch.setattr("workers.storage.object_storage.CLIENT", object_storage.CLIENT.merge(patient))
    in_bucket = {"default": {"BACKEND": "workers.storage.object_storage.ObjectStorage"}}
    settings.STORAGES = settings.STORAGES | in_bucket
    call_command("prepare_storage")
    return environment


def keeps_files(url: str, key: str, secret: str) -> bool:
    """Whether it stores an object; its port answers a little before."""
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}), **keys)
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    except (BotoCoreError, ClientError):
        return False
    return True
