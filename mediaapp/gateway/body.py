"""Receives the body of a request into a file, while no thread waits for it.

A client may be silent for SILENT_SECONDS. After these it must have sent LEAST_BYTES_PER_SECOND on average. A body
larger than a form is stored for users alone: a stranger must not fill our disk. What is not stored is read and thrown
away, because a browser reads no response before it has sent everything.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any

Receive = Callable[[], Awaitable[dict[str, Any]]]

MAX_FORM_BYTES = 1_000_000
MEMORY_BYTES = 65_536  # of one body
WRITE_BYTES = 1_000_000  # at a time, in a thread of the loop: a busy disk must not hold up the others
SILENT_SECONDS = 20
LEAST_BYTES_PER_SECOND = 500


class ClientGoneError(Exception):
    """The client hung up."""


class Body:
    """file: what was received. size: its bytes. max_bytes: what may be stored. is_too_large: so nothing is stored."""

    def __init__(self, file: IO[bytes], find_max_bytes: Callable[[], Awaitable[int]]) -> None:
        self.file, self.size, self.max_bytes = file, 0, MAX_FORM_BYTES
        self.is_too_large = False
        self._find_max_bytes: Callable[[], Awaitable[int]] | None = find_max_bytes
        self._buffer = bytearray()

    async def receive_all(self, receive: Receive) -> None:
        """Raises ClientGoneError, and TimeoutError for a client that is too slow."""
        started, is_complete = time.monotonic(), False
        while not is_complete:
            spare_seconds = started + self.size / LEAST_BYTES_PER_SECOND - time.monotonic()
            async with asyncio.timeout(SILENT_SECONDS + min(spare_seconds, 0)):
                message = await receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            is_complete = not message.get("more_body", False)
            await self._add(message.get("body", b""))
        await self._write()
        self.file.seek(0)

    async def _add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.max_bytes and self._find_max_bytes:
            self.max_bytes = await self._find_max_bytes()
            self._find_max_bytes = None
        if self.size > self.max_bytes:
            self._discard()
            return
        self._buffer += chunk
        if len(self._buffer) > WRITE_BYTES:
            await self._write()

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
