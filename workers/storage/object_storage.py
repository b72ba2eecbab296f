"""default_storage in an S3 bucket. Errors are those of a disk: FileNotFoundError, OSError.

No ACL is sent, because new buckets of AWS refuse ACLs. Servers other than AWS's need the path style.
"""

import io
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.config import Config
from botocore.handlers import add_expect_header
from django.conf import settings
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from workers.circuit_breaker import in_request
from workers.storage import object_reader, object_upload
from workers.storage.object_reader import FIRST_RANGE_BYTES, ObjectReader, as_os_errors

LINK_SECONDS = 600
UPLOAD_TYPE = "application/octet-stream"  # what a browser sends is never shown as a page of the storage
CLIENT_CONFIG = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=2,
    read_timeout=8,
    retries={"mode": "standard", "total_max_attempts": 2},
    # Without these, botocore adds checksums that some servers do not know and that a browser would have to compute.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
# A web request does not wait for a silent storage: its user tries again, or transfer.js does.
REQUEST_CONFIG = Config(connect_timeout=0.5, read_timeout=1.5, retries={"mode": "standard", "total_max_attempts": 1})


class ObjectStorage(S3Storage):  # type: ignore[misc]  # it has no types
    """`client` sends requests, `public_client` signs the requests that browsers send."""

    def get_default_settings(self) -> dict[str, Any]:
        defaults: dict[str, Any] = super().get_default_settings()
        return defaults | {
            "bucket_name": settings.S3_BUCKET,
            "endpoint_url": settings.S3_ENDPOINT_URL or None,
            "region_name": settings.AWS_REGION,
            "client_config": CLIENT_CONFIG,
            "querystring_expire": LINK_SECONDS,
        }

    @property
    def connection(self) -> Any:
        """One for all threads, to save memory (docs/facts/servers.md#boto3). A process rarely needs both."""
        return self._request_connection if in_request.get() else self._task_connection

    @cached_property
    def _request_connection(self) -> Any:
        options = self._client_options(self.endpoint_url)
        options["config"] = options["config"].merge(REQUEST_CONFIG)
        resource = self._create_session().resource("s3", **options)
        # It would wait one more second for the storage to say that it takes the file.
        resource.meta.client.meta.events.unregister("before-call.s3", add_expect_header)
        return resource

    @cached_property
    def _task_connection(self) -> Any:
        return self._create_session().resource("s3", **self._client_options(self.endpoint_url))

    @property
    def bucket(self) -> Any:
        return self.connection.Bucket(self.bucket_name)

    @property
    def client(self) -> Any:
        return self.connection.meta.client

    @cached_property
    def public_client(self) -> Any:
        """A signature is valid for the host in the link only."""
        if self.endpoint_url == settings.S3_PUBLIC_URL:
            return self.client
        return self._create_session().client("s3", **self._client_options(settings.S3_PUBLIC_URL))

    def _client_options(self, url: str | None) -> dict[str, Any]:
        return {"region_name": self.region_name, "endpoint_url": url, "config": self.client_config}

    def url(self, name: str, parameters: Any = None, expire: int | None = None, http_method: str | None = None) -> str:
        """parameters: of get_object, such as ResponseContentDisposition. expire: seconds."""
        return self._presign("get_object", self._key(name) | (parameters or {}), expire or LINK_SECONDS, http_method)

    def require_bucket(self) -> None:
        """Raises StorageRefusedError if the site cannot use the bucket; OSError."""
        object_reader.require_bucket(self.client, self.bucket_name)

    def exists(self, name: str) -> bool:
        with as_os_errors(name):
            return bool(super().exists(name))

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with as_os_errors(name):
            folders, files = super().listdir(name)
        return folders, files

    def delete(self, name: str) -> None:
        with as_os_errors(name):
            super().delete(name)

    def copy(self, source: str, name: str) -> None:
        """S3 copies 5 GB at most."""
        with as_os_errors(source):
            self.client.copy_object(**self._key(name), CopySource=self._key(source))

    def upload(self, path: Path, name: str, report: Callable[[int], None]) -> None:
        """report: called with the bytes so far, before each part."""
        object_upload.upload(self.client, self.bucket_name, name, path, report)

    def presign_form(self, name: str, size: int) -> dict[str, Any]:
        """`url` and `fields` of a form that sends one file of exactly `size` bytes."""
        fields = {"Content-Type": UPLOAD_TYPE, "success_action_status": "201"}
        conditions: list[Any] = [{field: value} for field, value in fields.items()]
        conditions.append(["content-length-range", size, size])
        return dict(
            self.public_client.generate_presigned_post(self.bucket_name, name, fields, conditions, LINK_SECONDS)
        )

    def begin_multipart(self, name: str) -> str:
        """Returns the `parts_id` that the other methods take."""
        with as_os_errors(name):
            return str(self.client.create_multipart_upload(**self._key(name), ContentType=UPLOAD_TYPE)["UploadId"])

    def presign_part(self, name: str, parts_id: str, number: int, size: int) -> str:
        """For a PUT of exactly `size` bytes."""
        part = {"UploadId": parts_id, "PartNumber": number, "ContentLength": size}
        return self._presign("upload_part", self._key(name) | part, LINK_SECONDS)

    def list_parts(self, name: str, parts_id: str) -> list[dict[str, Any]]:
        """PartNumber, Size and ETag of each. Raises FileNotFoundError after complete_multipart or abort_multipart."""
        with as_os_errors(name):
            pages = self.client.get_paginator("list_parts").paginate(**self._key(name), UploadId=parts_id)
            return [part for page in pages for part in page.get("Parts", ())]

    def complete_multipart(self, name: str, parts_id: str, parts: list[dict[str, Any]]) -> None:
        """parts: of list_parts, in their order."""
        named = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
        with as_os_errors(name):
            self.client.complete_multipart_upload(
                **self._key(name), UploadId=parts_id, MultipartUpload={"Parts": named}
            )

    def abort_multipart(self, name: str, parts_id: str) -> None:
        """Raises FileNotFoundError as list_parts does."""
        with as_os_errors(name):
            self.client.abort_multipart_upload(**self._key(name), UploadId=parts_id)

    def list_names_before(self, prefix: str, moment: datetime) -> Iterator[str]:
        with as_os_errors(prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=prefix):
                yield from (each["Key"] for each in page.get("Contents", ()) if each["LastModified"] < moment)

    def list_multipart_before(self, moment: datetime) -> Iterator[tuple[str, str]]:
        """Name and id of uploads that are neither completed nor aborted."""
        with as_os_errors(self.bucket_name):
            for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket_name):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] < moment:
                        yield upload["Key"], upload["UploadId"]

    def _key(self, name: str) -> dict[str, Any]:
        return {"Bucket": self.bucket_name, "Key": name}

    def _presign(self, action: str, parameters: dict[str, Any], expires: int, http_method: str | None = None) -> str:
        return str(self.public_client.generate_presigned_url(action, parameters, expires, http_method))

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            return super()._open(name, mode)
        reader = io.BufferedReader(ObjectReader(self.client, self.bucket_name, name), FIRST_RANGE_BYTES)
        return File(cast(BinaryIO, reader), name)

    def _save(self, name: str, content: Any) -> str:
        with as_os_errors(name):
            return str(super()._save(name, content))
