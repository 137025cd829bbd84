"""One TCP connection of the front door: uvicorn's, made proof against callers who dawdle.

uvicorn waits for ever for a request's head, and takes one of any size. Here a head must be complete
within `HEAD_S` and `HEAD_BYTES`, and a caller who goes on sending a body after it was refused is
cut off. A request that arrives in one piece, as nearly all do, pays two comparisons for it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S: Final = 10.0
HEAD_BYTES: Final = 65_536


class Connection(HttpToolsProtocol):
    """A connection that closes itself when a request's head is too slow or too large."""

    head_s = HEAD_S
    _head_open = True
    _head_bytes = 0
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; wait no longer than `head_s` for the rest of a head."""
        super().data_received(data)
        if self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", b"request_head_too_large")
            else:
                self._wait()
        elif self.cycle.response_complete:
            self._wait()
        elif self._patience is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        super().on_message_begin()
        self._head_open = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Note that the head is complete."""
        self._head_open = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 — uvicorn's signature
        """Refuse what is not HTTP."""
        self._refuse(b"400 Bad Request", b"invalid_http")

    def _wait(self) -> None:
        if self._patience is None:
            self._patience = self.loop.call_later(self.head_s, self._lose_patience)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        if self._head_open and self._head_bytes:
            self._refuse(b"408 Request Timeout", b"request_timeout")
        else:
            self.transport.close()

    def _refuse(self, status: bytes, code: bytes) -> None:
        """Answer without the application: there is no request it could be given."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = (
            b'{"error":{"message":"' + status[4:] + b'","type":"invalid_request_error",'
            b'"param":null,"code":"' + code + b'"}}'
        )
        head = (
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"x-lockgate-outcome: rejected\r\ncontent-length: %d\r\n\r\n" % len(body)
        )
        self.transport.write(head + body)
        self.transport.close()
