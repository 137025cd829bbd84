"""How long to wait before starting again what has died."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter; the first restart is immediate.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Attributes:
        random: Source of the jitter.
        first: Ceiling of the second restart's delay, seconds; doubles from there.
        cap: Largest ceiling, seconds.
        healthy: Who lived this many seconds has recovered; its earlier deaths no longer count.
    """

    random: Random
    first: float = 0.1
    cap: float = 10.0
    healthy: float = 30.0

    def ceiling(self, deaths: int) -> float:
        """Give the longest delay, in seconds, after so many deaths in a row."""
        if deaths < 2:
            return 0.0
        doublings = min(deaths - 2, 64)  # beyond any cap, and still a float
        return min(self.cap, self.first * 2.0**doublings)

    def delay(self, deaths: int) -> float:
        """Draw a delay in seconds after so many deaths in a row."""
        return self.random.uniform(0.0, self.ceiling(deaths))

    def deaths(self, before: int, lived: float) -> int:
        """Count deaths in a row, now that one more has come after *lived* seconds."""
        return 1 if lived >= self.healthy else before + 1
