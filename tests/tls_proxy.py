"""A program: speaks TLS for the server of a URL, `python -m tests.tls_proxy <url> <certificate> <key>`.

It prints its port, and a line for each connection whose handshake went well.
"""

import asyncio
import ssl
import sys
from contextlib import suppress
from urllib.parse import urlsplit

SSL_REQUEST = 8  # bytes with which a client of PostgreSQL asks for TLS
SERVER = urlsplit(sys.argv[1])
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(*sys.argv[2:])


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The handshake, then bytes to and fro until one side has enough."""
    with suppress(OSError, asyncio.IncompleteReadError):
        if SERVER.scheme == "postgres":
            await reader.readexactly(SSL_REQUEST)
            writer.write(b"S")
        await writer.start_tls(CONTEXT)
        sys.stdout.write("handshake\n")
        sys.stdout.flush()
        answers, server = await asyncio.open_connection(SERVER.hostname, SERVER.port)
        ways = [asyncio.create_task(copy(reader, server)), asyncio.create_task(copy(answers, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        server.close()
    writer.close()


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65536):
            target.write(chunk)
            await target.drain()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
