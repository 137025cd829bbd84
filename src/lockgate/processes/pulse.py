"""How long a child has been silent, and whether it has used the processor meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a child may go without a heartbeat, seconds.

    Attributes:
        still: If it has not used any processor time either: it is frozen, or waits for what never
            comes.
        deaf: Whatever it uses.
        loading: The first, for one that has never been heard yet; the second does not hold then.
    """

    still: float
    deaf: float
    loading: float


class Pulse:
    """When a child was last heard, and when it was last seen to use the processor.

    Args:
        born: When it was started, monotonic seconds.
    """

    def __init__(self, born: float) -> None:
        self._heard = self._stirred = born
        self._used: float | None = None
        self._loading = True

    def beat(self, now: float) -> None:
        """Note a heartbeat."""
        self._loading = False
        self.forgive(now)

    def forgive(self, now: float) -> None:
        """Begin to count anew."""
        self._heard = self._stirred = now

    def lost(self, now: float, patience: Patience, used: Callable[[], float | None]) -> float:
        """Give how many seconds it has been silent if that is too long, else 0.

        Args:
            now: Monotonic seconds.
            patience: How long is too long.
            used: Asks how much processor time it has used, seconds; None if nobody can tell.
        """
        silent = now - self._heard
        still = patience.loading if self._loading else patience.still
        if silent < still / 4:  # not worth a look at the processor
            return 0.0
        seen = used()
        if seen is None or seen != self._used:
            self._used, self._stirred = seen, now
        deaf = silent >= patience.deaf and not self._loading
        return silent if deaf or now - self._stirred >= still else 0.0


def processor_seconds(pid: int) -> float | None:
    """Tell how much processor time a process has used (proc(5), Linux only)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
