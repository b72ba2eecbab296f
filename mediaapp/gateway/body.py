"""Receives the body of a request, while no thread waits for it.

A client may be silent for SILENT_SECONDS. After these it must have sent LEAST_BYTES_PER_SECOND on average. What fits
into MEMORY_BYTES is kept in memory. The rest of a larger body goes into a file, for users alone: a stranger must fill
neither our memory nor our disk. What is not stored is read and thrown away, because a browser reads no response before
it has sent everything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any, ClassVar

Receive = Callable[[], Awaitable[dict[str, Any]]]

MEMORY_BYTES = 16_384  # of any body: all forms of strangers are smaller
MAX_FORM_BYTES = 1_000_000  # of a user's form
# Written at a time, in a thread: a busy disk must not hold up the loop. An upload is faster with a large buffer, but
# one that stops keeps it, so few have one at a time.
WRITE_BYTES, LARGE_WRITE_BYTES, LARGE_BUFFERS = 65_536, 1_000_000, 16
SILENT_SECONDS = 20
LEAST_BYTES_PER_SECOND = 500


class ClientGoneError(Exception):
    """The client hung up."""


class Body:
    """file: what was received. size: its bytes. max_bytes: what may be stored. is_too_large: so nothing is stored."""

    large_buffers: ClassVar[int] = 0

    def __init__(self, file: IO[bytes], find_max_bytes: Callable[[], Awaitable[int]]) -> None:
        self.file, self.size, self.max_bytes = file, 0, MEMORY_BYTES
        self.is_too_large = False
        self._find_max_bytes: Callable[[], Awaitable[int]] | None = find_max_bytes
        self._buffer, self._write_bytes = bytearray(), WRITE_BYTES

    async def receive_all(self, receive: Receive) -> None:
        """Raises ClientGoneError, and TimeoutError for a client that is too slow."""
        started = time.monotonic()
        try:
            while await self._receive_chunk(receive, started):
                pass
        finally:
            Body.large_buffers -= self._write_bytes == LARGE_WRITE_BYTES
        await self._write()
        self.file.seek(0)

    async def _receive_chunk(self, receive: Receive, started: float) -> bool:
        """Whether there are more. While it waits for one, it holds none."""
        spare_seconds = started + self.size / LEAST_BYTES_PER_SECOND - time.monotonic()
        async with asyncio.timeout(SILENT_SECONDS + min(spare_seconds, 0)):
            message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        await self._add(message.get("body", b""))
        return bool(message.get("more_body", False))

    async def _add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.max_bytes and self._find_max_bytes:
            self.max_bytes = await self._find_max_bytes()
            self._find_max_bytes = None
        if self.size > self.max_bytes:
            self._discard()
            return
        self._buffer += chunk
        if len(self._buffer) > self._write_bytes:
            await self._write()
            if self._write_bytes < LARGE_WRITE_BYTES and Body.large_buffers < LARGE_BUFFERS:
                self._write_bytes = LARGE_WRITE_BYTES
                Body.large_buffers += 1

    async def _write(self) -> None:
        if self.size > MEMORY_BYTES:
            await asyncio.to_thread(self.file.write, self._buffer)
        else:
            self.file.write(self._buffer)
        self._buffer = bytearray()

    def _discard(self) -> None:
        if not self.is_too_large:
            self.is_too_large = True
            self._buffer = bytearray()
            self.file.seek(0)
            self.file.truncate()
