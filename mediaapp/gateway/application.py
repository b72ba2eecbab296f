"""The ASGI application: for each request, the loop receives, a thread runs the site, the loop sends.

Few threads, because each has a connection to the database (workers/capacity/connections.py).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from mediaapp.gateway.access_log import AccessLog
from mediaapp.gateway.body import MEMORY_BYTES, Body, Receive
from mediaapp.gateway.sending import Send, send_response
from mediaapp.gateway.wsgi_call import Response, build_environ, call, plain_response
from workers import log_context
from workers.byte_format import format_bytes

TOO_SLOW_MESSAGE = "Your request arrived too slowly, so we stopped waiting for it. Nothing of it is kept. Try again."
TOO_LARGE_MESSAGE = "The request is larger than {}, the most that this page takes. Nothing of it is kept."
LOG_IN_MESSAGE = "If you were logged out, log in, then do it once more."
BODY_HEADERS = {b"content-length", b"transfer-encoding"}


class Gateway:
    """find_max_bytes: of a body larger than MEMORY_BYTES, by the rest of the request. 0: the site goes without."""

    def __init__(
        self, site: WSGIApplication, *, threads: int, folder: str, find_max_bytes: Callable[[WSGIEnvironment], int]
    ) -> None:
        self.site, self.folder, self.find_max_bytes = site, folder, find_max_bytes
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        with AccessLog(scope, send) as access:
            if BODY_HEADERS.isdisjoint(name for name, _ in scope["headers"]):
                await self._answer(build_environ(scope, BytesIO()), access.send)
                return
            with SpooledTemporaryFile(MEMORY_BYTES, dir=self.folder) as file:
                environ = build_environ(scope, file)
                if refusal := await self._receive(environ, file, receive):
                    await send_response(refusal, access.send)
                else:
                    await self._answer(environ, access.send)

    async def _receive(self, environ: WSGIEnvironment, file: Any, receive: Receive) -> Response | None:
        """Receives the body, or returns why not. Raises ClientGoneError."""
        without_body = {**environ, "wsgi.input": BytesIO()}
        body = Body(file, partial(self._run, copy_context(), self.find_max_bytes, without_body))
        try:
            await body.receive_all(receive)
        except TimeoutError:
            return plain_response(408, TOO_SLOW_MESSAGE)
        if body.is_too_large and body.max_bytes:
            message = TOO_LARGE_MESSAGE.format(format_bytes(body.max_bytes))
            return plain_response(413, message if body.max_bytes > MEMORY_BYTES else f"{message} {LOG_IN_MESSAGE}")
        environ["CONTENT_LENGTH"] = "0" if body.is_too_large else str(body.size)
        return None

    async def _answer(self, environ: WSGIEnvironment, send: Send) -> None:
        context = copy_context()
        response = await self._run(context, call, self.site, environ)
        for variable in (log_context.request_id, log_context.job_id):
            variable.set(context.get(variable, log_context.UNKNOWN))  # for the line in the access log
        await send_response(response, send, partial(self._run, context))

    async def _run(self, context: Context, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, context.run, work, *arguments)
