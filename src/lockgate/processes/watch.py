"""Which children have stopped although they are not dead: frozen, or stuck for ever.

Whoever is at work sends a heartbeat (`lifeline.py`) every two seconds, from the loop that does the
work. If the watching process was itself stopped (suspend, Ctrl-Z, a paused machine) it has heard
nobody, and knows nothing: everybody gets all of the time again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from lockgate.processes.child import Child, Role
from lockgate.processes.pulse import Patience, processor_seconds

LOOK_S: Final = 1.0
"""Between two looks at everybody."""
_LATE_S: Final = 1.0  # a look that comes later than this means that the watcher was stopped

PATIENCE: Final[Mapping[Role, Patience]] = MappingProxyType(
    {
        Role.WORKER: Patience(still=10.0, deaf=10.0, loading=60.0),
        Role.STEWARD: Patience(still=30.0, deaf=30.0, loading=60.0),
        # A large `predict`, or code that keeps the interpreter's lock, is silent, but works; and
        # what a model waits for while it loads (a download?), and how long, is its own affair.
        Role.RUNNER: Patience(still=30.0, deaf=300.0, loading=math.inf),
    }
)


async def watch(
    children: Callable[[], Iterable[Child]],
    lost: Callable[[Child, float], None],
    patience: Mapping[Role, Patience] = PATIENCE,
) -> None:
    """Call *lost* with each child that is silent for too long, and for how many seconds."""
    looked = time.monotonic()
    while True:
        await asyncio.sleep(LOOK_S)
        now = time.monotonic()
        stopped = now - looked > LOOK_S + _LATE_S
        looked = now
        for child in tuple(children()):
            if stopped:
                child.pulse.forgive(now)
            elif silent := _silent(child, now, patience[child.spec.role]):
                lost(child, silent)


def _silent(child: Child, now: float, patience: Patience) -> float:
    return child.pulse.lost(now, patience, lambda: processor_seconds(child.pid))
