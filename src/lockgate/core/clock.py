"""Where time and identifiers come from, so that tests can stop the one and choose the other."""

from __future__ import annotations

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Time, in seconds and nanoseconds."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back; the zero is arbitrary."""
        ...

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...


class Ids(Protocol):
    """Names for calls and other things that must never collide."""

    def new(self) -> str:
        """Give a fresh identifier: 26 characters, sorting by time of creation."""
        ...


class SystemClock:
    """The machine's own clocks."""

    monotonic = staticmethod(time.monotonic)
    now_ns = staticmethod(time.time_ns)


_BLOCK = 512  # random bytes fetched at once; two hexadecimal digits each


class SystemIds:
    """Identifiers that sort by time: 11 hexadecimal digits of milliseconds, 15 random ones."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random = ""
        self._at = 0

    def new(self) -> str:
        """Give a fresh identifier: 26 hexadecimal digits, sorting by time of creation."""
        if self._at >= len(self._random):  # one system call for many: it costs more than the rest
            self._random, self._at = os.urandom(_BLOCK).hex(), 0
        begin, self._at = self._at, self._at + 16
        return f"{time.time_ns() // 1_000_000:011x}{self._random[begin : begin + 15]}"
