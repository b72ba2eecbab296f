"""default_storage in an S3 bucket: files are read by ranges, never fetched whole, and links are for browsers.

Set by S3_BUCKET and its neighbours in config/settings.py. Objects are private: no ACL is sent, and what has none is
its owner's alone (a bucket of AWS refuses any other since 2023). Paths, not host names, carry the bucket's name, which
servers other than AWS's need.
"""

import io
from functools import cached_property
from typing import Any, BinaryIO, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import storages
from storages.backends.s3 import S3Storage
from urllib3.exceptions import HTTPError

LINK_SECONDS = 600
FIRST_RANGE, LAST_RANGE = 2**16, 2**23  # bytes of one request: the first one, and at most
NOT_FOUND = 404
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

    @property
    def client(self) -> Any:
        """boto3's, of this thread."""
        return self.connection.meta.client

    @cached_property
    def public_client(self) -> Any:
        """boto3's, for links: their signature holds for the host that they name alone."""
        return self._create_session().client(
            "s3", region_name=self.region_name, endpoint_url=settings.S3_PUBLIC_URL, config=CLIENT
        )

    def url(self, name: str, parameters: Any = None, expire: int | None = None, http_method: str | None = None) -> str:
        """A signed link that ends after `expire` seconds (LINK_SECONDS).

        parameters: of get_object, such as ResponseContentDisposition.
        """
        asked = {"Bucket": self.bucket_name, "Key": name} | (parameters or {})
        expires = expire or LINK_SECONDS
        return str(
            self.public_client.generate_presigned_url("get_object", asked, ExpiresIn=expires, HttpMethod=http_method)
        )

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            return super()._open(name, mode)
        return File(cast(BinaryIO, io.BufferedReader(ObjectReader(self, name), FIRST_RANGE)), name)


class ObjectReader(io.RawIOBase):
    """The bytes of an object by ranges: a small one after each seek, larger ones as reading goes on.

    `size`: bytes. `etag`: of the version that is read; OSError if another one takes its place meanwhile.
    Raises FileNotFoundError for an object that is not there, and OSError where the storage does not answer.
    """

    def __init__(self, storage: ObjectStorage, name: str) -> None:
        self._client, self._key = storage.client, {"Bucket": storage.bucket_name, "Key": name}
        try:
            head = self._client.head_object(**self._key)
        except (BotoCoreError, ClientError) as error:
            if is_not_found(error):
                raise FileNotFoundError(name) from None
            raise OSError(f"The storage did not answer: {error}") from error
        self.size, self.etag = int(head["ContentLength"]), str(head["ETag"])
        self._at = self._end = 0  # the next byte, and where the range that is open ends
        self._range = FIRST_RANGE
        self._body: StreamingBody | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset != self._at:
            self._at, self._range = max(0, start + offset), FIRST_RANGE
            self._drop()
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self.size:
            return 0
        try:
            body = self._body or self._ask()
            data = body.read(min(len(buffer), self._end - self._at))
        except (BotoCoreError, ClientError, HTTPError) as error:
            self._drop()
            raise OSError(f"The storage did not answer: {error}") from error
        buffer[: len(data)] = data
        self._at += len(data)
        if self._at == self._end:
            self._drop()
            self._range = min(self._range * 2, LAST_RANGE)
        return len(data)

    def close(self) -> None:
        self._drop()
        super().close()

    def _ask(self) -> StreamingBody:
        self._end = min(self._at + self._range, self.size)
        asked = f"bytes={self._at}-{self._end - 1}"
        self._body = self._client.get_object(**self._key, Range=asked, IfMatch=self.etag)["Body"]
        return self._body

    def _drop(self) -> None:
        if body := getattr(self, "_body", None):
            body.close()
        self._body = None


def the_bucket() -> ObjectStorage:
    """default_storage, where it is a bucket."""
    return cast(ObjectStorage, storages["default"])


def is_not_found(error: Exception) -> bool:
    """Whether the storage's answer is that there is no such object, or no such multipart upload."""
    answer = error.response["ResponseMetadata"] if isinstance(error, ClientError) else {}
    return bool(answer.get("HTTPStatusCode") == NOT_FOUND)
