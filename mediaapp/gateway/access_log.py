"""The access log: a line for each request, without the query string, which has searches."""

import logging
import time
from typing import Any, Self

from mediaapp.gateway.body import ClientGoneError
from mediaapp.gateway.sending import ClientStalledError, Send

log = logging.getLogger("mediaapp.access")
CLIENT_GONE = 499  # as nginx has it: nobody got a response
CLIENT_STALLED = 490  # no server's and no standard's: the response was not read to its end


class AccessLog:
    """Counts what it sends. Swallows that the client is gone, or reads no more."""

    def __init__(self, scope: dict[str, Any], send: Send) -> None:
        self.method, self.path, self._send = scope["method"], scope["path"], send
        self.status, self.bytes, self.started = CLIENT_GONE, 0, time.monotonic()

    async def send(self, message: dict[str, Any]) -> None:
        await self._send(message)
        self.status = message.get("status", self.status)
        self.bytes += len(message.get("body", b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        is_stalled = kind is not None and issubclass(kind, ClientStalledError)
        if is_stalled:
            self.status = CLIENT_STALLED
        ms = round(1000 * (time.monotonic() - self.started))
        values = (self.method, self.path, self.status, self.bytes, ms)
        log.info("request_answered method=%s path=%r status=%s bytes=%s ms=%s", *values)
        return is_stalled or (kind is not None and issubclass(kind, ClientGoneError))
