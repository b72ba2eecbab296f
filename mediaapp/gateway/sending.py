"""Sends responses at the clients' pace, while no thread waits for a client.

A thread writes a stream into a temporary file as fast as the site makes it; the loop sends what is there.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from tempfile import TemporaryFile
from typing import IO, Any

from mediaapp.gateway.wsgi_call import Response

Send = Callable[[dict[str, Any]], Awaitable[None]]
RunInThread = Callable[..., Awaitable[Any]]

SILENT_SECONDS = 60  # in which a client reads nothing of its response
CHUNK_BYTES = 65_536  # granian holds some of them for a client that does not read: about 1 MB


class ClientStalledError(Exception):
    """The client reads nothing more of its response."""


async def send_response(response: Response, send: Send, run_in_thread: RunInThread = asyncio.to_thread) -> None:
    """Raises ClientStalledError. run_in_thread: for a stream, in a thread of the site."""
    await send(response.start())
    if response.file:
        await _send_file(response.file, response, send)
    elif response.stream is not None:
        await _send_stream(response.stream, response, send, run_in_thread)
    await send({"type": "http.response.body", "body": response.body})


async def _send_file(content: IO[bytes], response: Response, send: Send) -> None:
    try:
        while chunk := await asyncio.to_thread(content.read, CHUNK_BYTES):
            await _send_chunk(chunk, send)
    finally:
        response.close()


async def _send_stream(parts: Iterable[bytes], response: Response, send: Send, run_in_thread: RunInThread) -> None:
    """The thread ends when the stream does, or when the client is gone."""
    loop, has_more, is_open, is_complete = asyncio.get_running_loop(), asyncio.Event(), True, False

    def write_all() -> None:
        nonlocal is_complete
        try:
            for part in parts:
                if not is_open:
                    break
                file.write(part)
                if not has_more.is_set():
                    loop.call_soon_threadsafe(has_more.set)
        finally:
            is_complete = True
            response.close()
            loop.call_soon_threadsafe(has_more.set)

    with TemporaryFile(buffering=0) as file:
        writing, sent = asyncio.ensure_future(run_in_thread(write_all)), 0
        try:
            while not (is_complete and sent == file.tell()):
                await has_more.wait()
                has_more.clear()
                while chunk := os.pread(file.fileno(), CHUNK_BYTES, sent):
                    sent += len(chunk)
                    await _send_chunk(chunk, send)
        finally:
            is_open = False
            await asyncio.shield(writing)


async def _send_chunk(chunk: bytes, send: Send) -> None:
    try:
        async with asyncio.timeout(SILENT_SECONDS):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except TimeoutError as error:
        raise ClientStalledError from error
