"""What happens to the language model in the middle of the demo."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lockgate.processes.serving import running

RUNNER = "runner small-0"


class Accidents:
    """Kills the runner of the language model, and later makes it too slow to be of use.

    Args:
        root: Folder of the manifest that is served.
        say: Told what happens, when it happens.
    """

    def __init__(self, root: Path, say: Callable[[str], None]) -> None:
        self._root = root
        self._say = say

    async def run(self, seconds: float) -> None:
        """Spread both over *seconds*: the kill after a third, the slowness from two thirds on."""
        await asyncio.sleep(seconds / 3)
        self._say("the demo kills the language model's runner (kill -9)")
        self._signal(signal.SIGKILL)
        await asyncio.sleep(seconds / 3)
        self._say("the demo makes the language model slow: it gets a fiftieth of its time")
        try:
            await self._slow_down(min(7.0, seconds / 4))
        finally:
            self._signal(signal.SIGCONT)
        self._say("the language model runs at full speed again")

    async def _slow_down(self, seconds: float) -> None:
        """Stop the runner most of the time."""
        for _ in range(int(seconds / 0.5)):
            self._signal(signal.SIGSTOP)
            await asyncio.sleep(0.49)
            self._signal(signal.SIGCONT)
            await asyncio.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        serving = running(self._root)
        pid = None if serving is None else serving.children.get(RUNNER)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
