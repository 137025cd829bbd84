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


class SystemIds:
    """Identifiers that sort by time: 11 hexadecimal digits of milliseconds, 15 random ones."""

    def new(self) -> str:
        """Give a fresh identifier: 26 hexadecimal digits, sorting by time of creation."""
        return f"{time.time_ns() // 1_000_000:011x}{os.urandom(8).hex()[:15]}"
