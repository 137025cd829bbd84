"""An upstream that answers byte for byte what a test says, when the test says it.

A script is a coroutine that is run for each connection and plays the server's side by hand:

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(whole(b"{}"))

    async with Upstream(script) as upstream:
        ...  # upstream.url, upstream.visits
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Self

import msgspec

PATIENCE_SECONDS = 10.0
"""How long something that must happen may take before a test fails."""


class Received(msgspec.Struct, frozen=True):
    """A request as it arrived; names of headers are lower case."""

    line: str
    headers: dict[str, str]
    body: bytes


class Visit:
    """One connection, from the upstream's side.

    Attributes:
        received: The requests read so far.
        left: Set as soon as the visitor's end of the connection is known to be closed or reset.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.received: list[Received] = []
        self.left = asyncio.Event()

    async def request(self) -> Received:
        """Read one request.

        Raises:
            EOFError: The visitor left instead.
        """
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)
            }
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, OSError) as error:
            self.left.set()
            raise EOFError from error
        received = Received(line, headers, body)
        self.received.append(received)
        return received

    async def send(self, *pieces: bytes) -> None:
        """Send *pieces* one by one, letting the visitor run in between."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            await asyncio.sleep(0)

    async def end_of_sending(self) -> None:
        """Close this direction only; the visitor can still send."""
        self._writer.write_eof()
        await self._writer.drain()

    async def leave(self) -> None:
        """Close the connection in an orderly way."""
        self._writer.close()

    async def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        sock = self._writer.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the visitor has closed or reset the connection; what it sends is dropped."""
        try:
            while await self._reader.read(65_536):
                pass
        except OSError:  # a reset, or TLS that was closed in the middle of a record
            pass
        self.left.set()


Script = Callable[[Visit], Awaitable[None]]


class Upstream:
    """A server on a port of its own, or at the unix socket *path*, that plays *script*.

    Attributes:
        visits: Every connection so far, in order of arrival.
        port: Where it listens once it has been entered; 0 for a unix socket.
    """

    def __init__(
        self,
        script: Script,
        *,
        host: str = "127.0.0.1",
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script
        self._host = host
        self._path = path
        self._tls = tls
        self._playing: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()
        self.visits: list[Visit] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    async def __aenter__(self) -> Self:
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._welcome, self._path)
        else:
            self._server = await asyncio.start_server(self._welcome, self._host, 0, ssl=self._tls)
            self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        for failure in self._failures:
            raise failure

    async def stop(self) -> None:
        """Cut all connections and listen no more."""
        assert self._server is not None
        self._server.close()
        for task in self._playing:
            task.cancel()
        await asyncio.gather(*self._playing, return_exceptions=True)

    async def visited(self, times: int = 1) -> Visit:
        """Wait for the connection number *times* and give it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.visits) < times:
                self._arrived.clear()
                await self._arrived.wait()
        return self.visits[times - 1]

    def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        self._arrived.set()
        task = asyncio.ensure_future(self._play(visit, writer))
        self._playing.add(task)
        task.add_done_callback(self._playing.discard)

    async def _play(self, visit: Visit, writer: asyncio.StreamWriter) -> None:
        try:
            await self._script(visit)
            await visit.gone()
        except (EOFError, OSError):
            visit.left.set()
        except Exception as error:  # noqa: BLE001 — a mistake in a script must fail its test
            self._failures.append(error)
        finally:
            writer.transport.abort()


async def repeat(visit: Visit, answer: bytes) -> None:
    """Give every request of *visit* the same answer; use it inside a script."""
    while True:
        await visit.request()
        await visit.send(answer)


def whole(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """Write a complete response with `Content-Length`, of JSON unless *headers* say otherwise."""
    fields = {"Content-Type": "application/json", **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


EVENTS_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
"""Head of a stream of server-sent events in chunks."""
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Frame *data* as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(data: bytes) -> bytes:
    """Write a server-sent event and frame it as one chunk."""
    return chunk(b"data: " + data + b"\n\n")
