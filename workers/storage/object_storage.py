"""default_storage in an S3 bucket: files are read by ranges, never fetched whole, and links are for browsers.

Set by S3_BUCKET and its neighbours in config/settings.py. Objects are private: no ACL is sent, and what has none is
its owner's alone (a bucket of AWS refuses any other since 2023). Paths, not host names, carry the bucket's name, which
servers other than AWS's need. Errors are those of a disk: FileNotFoundError, OSError.
"""

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.config import Config
from django.conf import settings
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from workers.storage import object_upload
from workers.storage.object_reader import FIRST_RANGE, ObjectReader, answering

LINK_SECONDS = 600
SENT_TYPE = "application/octet-stream"  # what a browser sends is never a page of the storage's own
CLIENT = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    # A web request, which may ask twice, must answer within the 30 s of a router.
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 2},
    # Else botocore adds checksums that not every server knows, and which a browser would have to compute.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class ObjectStorage(S3Storage):  # type: ignore[misc]  # it has no types
    """A bucket. `client` speaks to it, `public_client` signs what browsers do."""

    def get_default_settings(self) -> dict[str, Any]:
        """From our settings instead of the many that django-storages has."""
        theirs: dict[str, Any] = super().get_default_settings()
        return theirs | {
            "bucket_name": settings.S3_BUCKET,
            "endpoint_url": settings.S3_ENDPOINT_URL or None,
            "region_name": settings.AWS_REGION,
            "client_config": CLIENT,
            "querystring_expire": LINK_SECONDS,
        }

    @cached_property
    def connection(self) -> Any:
        """One for all threads, as its client may be: one for each, as django-storages has it, takes memory
        (docs/facts/servers.md#boto3)."""
        return self._create_session().resource("s3", **self._reached_at(self.endpoint_url))

    @property
    def client(self) -> Any:
        """boto3's."""
        return self.connection.meta.client

    @cached_property
    def public_client(self) -> Any:
        """boto3's, for links: their signature holds for the host that they name alone."""
        if self.endpoint_url == settings.S3_PUBLIC_URL:
            return self.client
        return self._create_session().client("s3", **self._reached_at(settings.S3_PUBLIC_URL))

    def _reached_at(self, url: str | None) -> dict[str, Any]:
        return {"region_name": self.region_name, "endpoint_url": url, "config": self.client_config}

    def url(self, name: str, parameters: Any = None, expire: int | None = None, http_method: str | None = None) -> str:
        """A signed link that ends after `expire` seconds (LINK_SECONDS).

        parameters: of get_object, such as ResponseContentDisposition.
        """
        return self._link("get_object", self._at(name) | (parameters or {}), expire or LINK_SECONDS, http_method)

    def exists(self, name: str) -> bool:
        with answering(name):
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with answering(name):
            folders, files = super().listdir(name)
        return folders, files

    def delete(self, name: str) -> None:
        with answering(name):
            super().delete(name)

    def copy(self, source: str, name: str) -> None:
        """A copy within the bucket, which its server makes; of 5 GB at most."""
        with answering(source):
            self.client.copy_object(**self._at(name), CopySource=self._at(source))

    def upload(self, path: Path, name: str, report: Callable[[int], None]) -> None:
        """Stores a local file, a part at a time: see object_upload."""
        object_upload.upload(self.client, self.bucket_name, name, path, report)

    def form_for(self, name: str, size: int) -> dict[str, Any]:
        """ "url" and "fields" of a form by which a browser sends this one file, of `size` bytes, and nothing else."""
        fields = {"Content-Type": SENT_TYPE, "success_action_status": "201"}
        conditions: list[Any] = [{field: value} for field, value in fields.items()]
        conditions.append(["content-length-range", size, size])
        return dict(
            self.public_client.generate_presigned_post(self.bucket_name, name, fields, conditions, LINK_SECONDS)
        )

    def begin_parts(self, name: str) -> str:
        """Begins a file that comes in parts; the id that the other methods ask for."""
        with answering(name):
            return str(self.client.create_multipart_upload(**self._at(name), ContentType=SENT_TYPE)["UploadId"])

    def link_for_part(self, name: str, parts_id: str, number: int, size: int) -> str:
        """Where a browser PUTs one part, of exactly `size` bytes."""
        part = {"UploadId": parts_id, "PartNumber": number, "ContentLength": size}
        return self._link("upload_part", self._at(name) | part, LINK_SECONDS)

    def parts(self, name: str, parts_id: str) -> list[dict[str, Any]]:
        """Those that arrived: PartNumber, Size, ETag. Raises FileNotFoundError once they are joined or dropped."""
        with answering(name):
            pages = self.client.get_paginator("list_parts").paginate(**self._at(name), UploadId=parts_id)
            return [part for page in pages for part in page.get("Parts", ())]

    def join_parts(self, name: str, parts_id: str, parts: list[dict[str, Any]]) -> None:
        """Makes one object of the parts, given as parts() tells them, in their order."""
        told = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
        with answering(name):
            self.client.complete_multipart_upload(**self._at(name), UploadId=parts_id, MultipartUpload={"Parts": told})

    def drop_parts(self, name: str, parts_id: str) -> None:
        """Forgets the parts. Raises FileNotFoundError as parts() does."""
        with answering(name):
            self.client.abort_multipart_upload(**self._at(name), UploadId=parts_id)

    def names_before(self, prefix: str, moment: datetime) -> Iterator[str]:
        """The name of every file under `prefix` that was stored before `moment`."""
        with answering(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=prefix):
                yield from (each["Key"] for each in page.get("Contents", ()) if each["LastModified"] < moment)

    def parts_before(self, moment: datetime) -> Iterator[tuple[str, str]]:
        """Name and id of every file of which parts are there that were begun before `moment` and not joined."""
        with answering(self.bucket_name):
            for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name):
                for begun in page.get("Uploads", ()):
                    if begun["Initiated"] < moment:
                        yield begun["Key"], begun["UploadId"]

    def _at(self, name: str) -> dict[str, Any]:
        return {"Bucket": self.bucket_name, "Key": name}

    def _link(self, action: str, asked: dict[str, Any], expires: int, http_method: str | None = None) -> str:
        return str(self.public_client.generate_presigned_url(action, asked, expires, http_method))

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            return super()._open(name, mode)
        return File(
            cast(BinaryIO, io.BufferedReader(ObjectReader(self.client, self.bucket_name, name), FIRST_RANGE)), name
        )

    def _save(self, name: str, content: Any) -> str:
        with answering(name):
            return str(super()._save(name, content))
