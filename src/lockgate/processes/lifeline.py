"""A child's end of the line to its supervisor: a socket that it has as stdin.

Nothing is said to the child there; its end means that the supervisor is gone. The child sends a
byte now and then while it does its work: a heartbeat. Over a pipe, as someone who starts a child
by hand may give it, there is only the first half; over a terminal or a file, neither.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

BEAT_S: Final = 2.0
"""Between two heartbeats."""
_STDIN: Final = 0


class Lifeline:
    """The line, kept apart from stdin: make it before foreign code may close that.

    Attributes:
        fd: What to read from; -1 if there is nobody at the other end.
    """

    def __init__(self, fd: int = _STDIN) -> None:
        mode = _mode(fd)
        self._hears = stat.S_ISSOCK(mode)
        self.fd = os.dup(fd) if self._hears or stat.S_ISFIFO(mode) else -1
        if self.fd >= 0:
            os.set_blocking(self.fd, False)

    def hold(self, gone: Callable[[], None]) -> None:
        """Beat as long as the running loop turns; call *gone* once the supervisor is."""
        if self.fd < 0:
            return
        loop = asyncio.get_running_loop()

        def listen() -> None:
            if self.ended():
                loop.remove_reader(self.fd)
                gone()

        loop.add_reader(self.fd, listen)
        self._go_on_beating()

    def beat(self) -> None:
        """Show that this process does its work."""
        if self._hears:
            with suppress(OSError):  # full: the supervisor is frozen; broken: it is gone
                os.write(self.fd, b".")

    def ended(self) -> bool:
        """Say whether the supervisor is gone; asked when there is something to read."""
        try:
            return not os.read(self.fd, 4096)
        except BlockingIOError:
            return False
        except OSError:  # reset: it has left without reading our last beat
            return True

    def _go_on_beating(self) -> None:
        self.beat()
        asyncio.get_running_loop().call_later(BEAT_S, self._go_on_beating)


def _mode(fd: int) -> int:
    try:
        return os.fstat(fd).st_mode
    except OSError:  # closed
        return 0
