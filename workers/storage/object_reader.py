"""Reading an object of the storage by ranges, as if it were a file on a disk; its errors are those of a disk."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

FIRST_RANGE, LAST_RANGE = 2**16, 2**23  # bytes of one request: the first one, and at most
NOT_FOUND = 404


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Around a question to the storage. Raises FileNotFoundError for what is not there, OSError for no good answer."""
    try:
        yield
    except (BotoCoreError, ClientError, HTTPError) as error:
        answer = error.response["ResponseMetadata"] if isinstance(error, ClientError) else {}
        if answer.get("HTTPStatusCode") == NOT_FOUND:
            raise FileNotFoundError(name) from error
        raise OSError(f"The storage did not answer: {error}") from error


class ObjectReader(io.RawIOBase):
    """The bytes of an object: a small range after each seek, larger ones as reading goes on.

    client: boto3's. `size`: bytes. It is one version that is read: OSError if another one takes its place meanwhile.
    """

    def __init__(self, client: Any, bucket: str, name: str) -> None:
        self._client, self._name = client, name
        self._key = {"Bucket": bucket, "Key": name}
        self._body: StreamingBody | None = None
        with answering(name):
            head = client.head_object(**self._key)
        self.size, self._version = int(head["ContentLength"]), head["ETag"]
        self._at = self._end = 0  # the next byte, and where the range that is open ends
        self._range = FIRST_RANGE

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
            with answering(self._name):
                data = (self._body or self._ask()).read(min(len(buffer), self._end - self._at))
        except OSError:
            self._drop()  # who reads on gets another connection
            raise
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
        self._body = self._client.get_object(**self._key, Range=asked, IfMatch=self._version)["Body"]
        return self._body

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body:
            body.close()
