"""The body of a request that asks for another protocol, which is not spoken here.

Java's HTTP client sends `Upgrade: h2c` with its first request, whatever that is. A server may go on
in HTTP/1.1 (RFC 9110, 7.8), but httptools stops at the end of such a head and leaves the body
unparsed. So the body is given to a second parser, which is told how the first one found it framed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import httptools

_FRAMING = (b"content-length", b"transfer-encoding")


class BodyParser:
    """Parses one body and nothing after it.

    Attributes:
        done: The body is complete.
        overrun: Something came after it that nobody has parsed.
    """

    def __init__(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        on_body: Callable[[bytes], None],
        on_complete: Callable[[], None],
    ) -> None:
        self.done = False
        self.overrun = False
        self._on_body = on_body
        self._on_complete = on_complete
        self._parser = httptools.HttpRequestParser(self)
        framing = [b"%s: %s\r\n" % pair for pair in headers if pair[0] in _FRAMING]
        self._parser.feed_data(b"".join((b"POST / HTTP/1.1\r\n", *framing, b"\r\n")))

    def feed_data(self, data: bytes) -> None:
        """Parse *data*.

        Raises:
            httptools.HttpParserError: It is no such body.
        """
        if self.done:
            self.overrun = self.overrun or bool(data)
        else:
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Take note of a second message: called by httptools."""
        self.overrun = self.done

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the body: called by httptools."""
        if not self.done:
            self._on_body(body)

    def on_message_complete(self) -> None:
        """Take note of the end: called by httptools."""
        if not self.done:
            self.done = True
            self._on_complete()
