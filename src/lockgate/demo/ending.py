"""However the demo is told to end, it ends in order: the server first, then itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_told(play: Coroutine[Any, Any, int]) -> int:
    """Run *play* and give its exit code; a signal cancels it and gives 128 plus its number.

    A second signal cancels what the play does to end in order.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(play)
    told: list[int] = []

    def tell(number: int) -> None:
        told.append(number)
        task.cancel()

    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # `nohup` means it
            loop.add_signal_handler(number, tell, number)
    try:
        return await task
    except (asyncio.CancelledError, OSError):  # the terminal may be gone, too
        if told:
            return 128 + told[0]
        raise
