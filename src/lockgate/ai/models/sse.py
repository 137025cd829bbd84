"""Server-sent events, read from bytes in whatever pieces they arrive.

Source: WHATWG HTML, §9.2 "Server-sent events". `id` and `retry` are for reconnecting, which an
answer that costs money never does, so they are ignored.
"""

from __future__ import annotations

import msgspec

from lockgate.core.errors import BackendBroken

MAX_EVENT = 1024 * 1024
"""Bytes of one event."""
_BOM = b"\xef\xbb\xbf"
_LINE_ENDS = (b"\n", b"\r")


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event: its data, lines joined by LF, and its name (empty for the default, `message`)."""

    data: bytes
    name: bytes = b""


class EventParser:
    """Turns pieces of a stream into events; how it was cut into pieces makes no difference.

    An event that the stream's end leaves without its blank line is dropped, as the standard says.
    """

    __slots__ = ("_begun", "_data", "_name", "_partial", "_partial_size", "_size", "_skip_lf")

    def __init__(self) -> None:
        self._begun = False
        self._skip_lf = False
        self._partial: list[bytes] = []
        self._partial_size = 0
        self._size = 0
        self._data: list[bytes] = []
        self._name = b""

    def feed(self, piece: bytes) -> list[Event]:
        """Take in *piece* and give the events that are complete now.

        Raises:
            BackendBroken: An event is larger than `MAX_EVENT`.
        """
        if self._skip_lf and piece:
            self._skip_lf = False
            if piece.startswith(b"\n"):
                piece = piece[1:]
        lines = piece.splitlines()  # of bytes: at LF, CR and CRLF only
        if not lines:
            return []
        rest = None if piece.endswith(_LINE_ENDS) else lines.pop()
        events: list[Event] = []
        if lines and self._partial:
            lines[0] = b"".join([*self._partial, lines[0]])
            self._partial.clear()
            self._partial_size = 0
        for line in lines:
            self._take(line, events)
        if rest is not None:
            self._partial.append(rest)
            self._partial_size += len(rest)
            self._require_size()
        self._skip_lf = piece.endswith(b"\r")
        return events

    def _take(self, line: bytes, events: list[Event]) -> None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            return
        self._size += len(line) + 1
        self._require_size()
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
        elif field == b"event":
            self._name = value.removeprefix(b" ")

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append(Event(data, self._name))
        self._data = []
        self._name = b""
        self._size = 0

    def _require_size(self) -> None:
        if self._size + self._partial_size > MAX_EVENT:
            raise BackendBroken(f"the stream holds an event of more than {MAX_EVENT} bytes")
