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


_ALPHABET = b"0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


class SystemIds:
    """Time-ordered random identifiers (48 bits of milliseconds, 80 random; ULID layout)."""

    def new(self) -> str:
        """Give a fresh identifier: 26 characters, sorting by time of creation."""
        number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
        return bytes(_ALPHABET[(number >> shift) & 31] for shift in range(125, -5, -5)).decode()
