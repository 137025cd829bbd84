"""Our own HTTP/1.1 client: pooled keep-alive connections to one upstream.

Why not a library: docs/decisions/0002-our-own-upstream-client.md. It does what a gateway needs
and nothing else: POST and GET with whole or streamed responses, deadlines, back-pressure, and a
cut connection as soon as nobody waits for its answer. No redirects, no cookies, no compression.

A request that was written to a *reused* connection which then ended without a single byte of a
response is sent once more on another connection: the peer closed it while it lay idle, the
usual race of keep-alive (RFC 9112 §9.3.1). Anything else is never repeated here.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import Any, cast

from lockgate.ai.models.wire_line import Line
from lockgate.ai.models.wire_origin import Origin, header_block, request_head
from lockgate.ai.models.wire_response import Response, Stale
from lockgate.ai.models.wire_secrets import Secrets
from lockgate.ai.models.wire_stream import Streamed
from lockgate.core.errors import BackendError, BackendGone, BackendTimeout
from lockgate.core.outbox import Outbox

__all__ = ["MAX_BODY", "Origin", "Response", "Streamed", "Wire"]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a response that is not streamed."""
Answering = Coroutine[Any, Any, Response]
"""What to await for a whole response: one coroutine, for each one more costs on every call."""
_CLOSED = "the connections to {} have been closed"


class Wire:
    """Connections to one origin; give one to each backend and close it at the end.

    Args:
        headers: Sent with every request, e.g. `Authorization`.
        limit: Connections open at once; further requests wait for one, first come first served.
        connect_timeout: Seconds until a new connection must stand, TLS included.
        tls: For https; the system's certificate authorities by default.
        max_body: Bytes that a whole response may have.

    Attributes:
        secrets: What of the headers must not come back.

    Raises:
        ValueError: A header could not be sent safely.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        headers: Mapping[str, str],
        limit: int,
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
        max_body: int = MAX_BODY,
    ) -> None:
        self.origin = origin
        self._headers = header_block(headers)
        self.secrets = Secrets(headers)
        self._limit = limit
        self._connect_timeout = connect_timeout
        self._tls = (tls or ssl.create_default_context()) if origin.scheme == "https" else None
        self._max_body = max_body
        self._heads: dict[bytes, bytes] = {}
        self._idle: list[Line] = []
        self._lines: set[Line] = set()
        self._places = limit
        self._waiters: deque[asyncio.Future[Line | None]] = deque()
        self._outbox: Outbox | None = None
        self._closed = False
        self._empty = asyncio.Event()

    def post(
        self, path: bytes, body: bytes, *, deadline: float, first_byte: float | None = None
    ) -> Answering:
        """Send a body of JSON and wait for the whole response.

        Args:
            path: Joined to the origin's base path; from code, never from a caller.
            body: The JSON.
            deadline: Monotonic seconds after which the response is of no use.
            first_byte: Monotonic seconds by which its head must have arrived, if that is sooner.

        Raises:
            BackendGone: Nobody is listening, or the connection ended too soon.
            BackendTimeout: It took too long.
            BackendBroken: It is not HTTP/1.1, or too large.
        """
        request = self._request(b"POST", path, body)
        return cast("Answering", self._ask(request, deadline, first_byte, stream=False))

    async def get(
        self, path: bytes, *, deadline: float, first_byte: float | None = None
    ) -> Response:
        """Ask for *path* and wait for the whole response; see `post`."""
        request = self._request(b"GET", path, b"")
        response = await self._ask(request, deadline, first_byte, stream=False)
        assert isinstance(response, Response)
        return response

    async def stream(
        self, path: bytes, body: bytes, *, deadline: float, first_byte: float | None = None
    ) -> Streamed:
        """Send *body* as JSON and return as soon as the head of the response has arrived.

        The caller must read the stream to its end or close it. For arguments and errors see
        `post`; the deadline holds until the last byte.
        """
        request = self._request(b"POST", path, body)
        response = await self._ask(request, deadline, first_byte, stream=True)
        assert isinstance(response, Streamed)
        return response

    async def reachable(self, deadline: float) -> bool:
        """Say whether a connection stands or can be made; sends nothing."""
        if self._idle:
            return True
        try:
            line = await self._take(deadline)
        except BackendError:
            return False
        line.rest()
        self.freed(line)
        return True

    async def close(self) -> None:
        """Cut all connections; requests in flight and waiting ones fail with `BackendGone`."""
        self._closed = True
        while self._waiters:
            _settle(self._waiters.popleft(), BackendGone(_CLOSED.format(self.origin)))
        for line in list(self._lines):
            line.abort()
        if self._lines:
            await self._empty.wait()

    # ── what the lines call ──────────────────────────────────────────────────────────────────

    def freed(self, line: Line) -> None:
        """Give *line* to whoever has waited longest, or lay it aside."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(line)
                return
        self._idle.append(line)

    def lost(self, line: Line) -> None:
        """Forget *line*; its place is free."""
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        self._free_place()
        if self._closed and not self._lines:
            self._empty.set()

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _request(self, method: bytes, path: bytes, body: bytes) -> bytes:
        key = method + path
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = request_head(self.origin, method, path, self._headers)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)

    async def _ask(
        self, request: bytes, deadline: float, first_byte: float | None, *, stream: bool
    ) -> Response | Streamed:
        if deadline <= time.monotonic():
            raise BackendTimeout(f"no time was left to ask {self.origin}")
        again = False
        while True:
            line = self._idle.pop() if self._idle else await self._take(deadline)
            waiter = line.ask(request, deadline, first_byte, stream=stream)
            try:
                return await waiter
            except asyncio.CancelledError:
                line.give_up(waiter)
                raise
            except Stale:
                if again:
                    raise
                again = True
                self._distrust_idle()

    def _distrust_idle(self) -> None:
        """Cut all idle connections: where one was found dead, the upstream has often restarted."""
        while self._idle:
            self._idle.pop().abort()

    async def _take(self, deadline: float) -> Line:
        """Get a connection where none is idle: a new one, or the next that is given back."""
        if self._closed:
            raise BackendGone(_CLOSED.format(self.origin))
        if self._places:
            self._places -= 1
        else:
            line = await self._wait(deadline)
            if line is not None:
                return line
        return await self._connect(deadline)

    async def _wait(self, deadline: float) -> Line | None:
        """Wait for a connection, or for the place to make one (None)."""
        waiter: asyncio.Future[Line | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                return await waiter
        except TimeoutError as error:
            self._leave(waiter)
            raise BackendTimeout(
                f"all {self._limit} connections to {self.origin} were busy until the deadline"
            ) from error
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: asyncio.Future[Line | None]) -> None:
        """Leave the queue; what was handed over at the same moment goes to the next."""
        if waiter.cancelled() or not waiter.done():
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            line = waiter.result()
            if line is None:
                self._free_place()
            elif not line.closing:
                self.freed(line)

    async def _connect(self, deadline: float) -> Line:
        """Make a connection on a place that is already taken."""
        timeout = min(self._connect_timeout, deadline - time.monotonic())
        try:
            async with asyncio.timeout(timeout):
                line = await self._dial()
        except TimeoutError as error:
            self._free_place()
            raise BackendTimeout(f"no connection to {self.origin} within its time") from error
        except OSError as error:
            self._free_place()
            raise BackendGone(f"no connection to {self.origin}: {error}") from error
        except BaseException:
            self._free_place()
            raise
        return self._admit(line)

    def _admit(self, line: Line) -> Line:
        if self._closed or line.closing:
            line.abort()
            self._free_place()
            raise BackendGone(f"the connection to {self.origin} was closed as soon as it stood")
        self._lines.add(line)
        line.belong(self)
        return line

    async def _dial(self) -> Line:
        loop = asyncio.get_running_loop()
        origin = self.origin
        if origin.unix is not None:
            _, line = await loop.create_unix_connection(self._new_line, origin.unix)
        else:
            _, line = await loop.create_connection(
                self._new_line,
                origin.host,
                origin.port,
                ssl=self._tls,
                server_hostname=origin.host if self._tls else None,
            )
        return line

    def _new_line(self) -> Line:
        if self._outbox is None:
            self._outbox = Outbox(asyncio.get_running_loop())
        return Line(str(self.origin), self._max_body, self._outbox)

    def _free_place(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._places += 1


def _settle(waiter: asyncio.Future[Line | None], error: BackendError) -> None:
    if not waiter.done():
        waiter.set_exception(error)
