"""Reads an object of the bucket by ranges, as if it were a file on a disk."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from workers.circuit_breaker import CircuitBreaker, in_request
from workers.storage.errors import StorageRefusedError

BREAKER = CircuitBreaker("storage", OSError)
FIRST_RANGE_BYTES, MAX_RANGE_BYTES = 2**16, 2**23
NOT_FOUND, REFUSED = 404, (401, 403)
REFUSED_CODES = ("NoSuchBucket", "PermanentRedirect", "AuthorizationHeaderMalformed")


@contextmanager
def as_os_errors(name: str) -> Iterator[None]:
    """Raises FileNotFoundError for a 404, StorageRefusedError, OSError for any other error of boto3."""
    try:
        with BREAKER.guard(ConnectTimeoutError, ReadTimeoutError) if in_request.get() else nullcontext():
            yield
    except ClientError as error:
        status = error.response["ResponseMetadata"].get("HTTPStatusCode")
        if status in REFUSED or error.response["Error"].get("Code") in REFUSED_CODES:
            raise StorageRefusedError(f"The storage refuses: {error}") from error
        if status == NOT_FOUND:
            raise FileNotFoundError(name) from error
        raise OSError(f"The storage did not answer: {error}") from error
    except (BotoCoreError, HTTPError) as error:
        raise OSError(f"The storage did not answer: {error}") from error


def require_bucket(client: Any, bucket: str) -> None:
    """Raises StorageRefusedError if the bucket does not exist or is another's; OSError."""
    try:
        with as_os_errors(bucket):
            client.head_bucket(Bucket=bucket)
    except FileNotFoundError as error:
        raise StorageRefusedError(f"The storage refuses: it has no bucket {bucket}.") from error


class ObjectReader(io.RawIOBase):
    """Raises OSError if the object is replaced meanwhile: two versions are never mixed."""

    def __init__(self, client: Any, bucket: str, name: str) -> None:
        self._client, self._name = client, name
        self._key = {"Bucket": bucket, "Key": name}
        self._body: StreamingBody | None = None
        try:
            with as_os_errors(name):
                head = client.head_object(**self._key)
        except FileNotFoundError:  # S3 answers the same if the bucket is missing
            require_bucket(client, bucket)
            raise
        self.size, self._version = int(head["ContentLength"]), head["ETag"]
        self._position = self._range_end = 0
        self._range_bytes = FIRST_RANGE_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset != self._position:
            self._position, self._range_bytes = max(0, start + offset), FIRST_RANGE_BYTES
            self._close_body()
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self.size:
            return 0
        try:
            with as_os_errors(self._name):
                data = (self._body or self._request_range()).read(min(len(buffer), self._range_end - self._position))
        except OSError:
            self._close_body()  # the next read gets another connection
            raise
        buffer[: len(data)] = data
        self._position += len(data)
        if self._position == self._range_end:
            self._close_body()
            self._range_bytes = min(self._range_bytes * 2, MAX_RANGE_BYTES)
        return len(data)

    def close(self) -> None:
        self._close_body()
        super().close()

    def _request_range(self) -> StreamingBody:
        self._range_end = min(self._position + self._range_bytes, self.size)
        wanted = f"bytes={self._position}-{self._range_end - 1}"
        self._body = self._client.get_object(**self._key, Range=wanted, IfMatch=self._version)["Body"]
        return self._body

    def _close_body(self) -> None:
        body, self._body = self._body, None
        if body:
            body.close()
