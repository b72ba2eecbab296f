"""A private S3 server (SeaweedFS), loopback only.

Why each word of the command is there: docs/facts/servers.md#private-s3-server.
"""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from devtools.ports import free_port
from devtools.processes import killed_at_end, wait_until_ready

WEED = Path(sys.executable).with_name("weed")
LISTENERS = ("s3", "master", "volume", "filer", "admin")


@contextmanager
def fresh_s3_server() -> Iterator[dict[str, str]]:
    """Yields the environment of a site that may use the server. Its only bucket is `ready`."""
    key, secret = f"key{secrets.token_hex(4)}", secrets.token_hex(16)
    ports = {f"{name}.port{kind}": free_port() for name in LISTENERS for kind in ("", ".grpc")}
    url = f"http://127.0.0.1:{ports['s3.port']}"
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
            "TMPDIR": folder,  # for its sockets
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        log = Path(folder, "weed.log")
        with killed_at_end(command, log, environment=environment) as server:
            wait_until_ready(server, partial(stores_objects, url, key, secret), log)
            yield {
                "S3_ENDPOINT_URL": url,
                "S3_PUBLIC_URL": url,
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_REGION": "us-east-1",
            }


def stores_objects(url: str, key: str, secret: str) -> bool:
    """The port answers a little earlier."""
    keys = {"aws_access_key_id": key, "aws_secret_access_key": secret, "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}), **keys)
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    except (BotoCoreError, ClientError):
        return False
    return True
