"""What the operator is told, by a thread of its own: a terminal that stands still stops nobody."""

from __future__ import annotations

import os
import queue
import threading

_WAITING_LINES = 1000
_LAST_WORDS_SECONDS = 1.0


class Voice:
    """Writes lines to a file descriptor, in order; if too many wait, new ones are left out.

    A full pipe or a paused terminal would otherwise block the supervisor in the middle of a
    restart. Nothing goes through Python's own buffers, whose locks a blocked thread would keep.
    """

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._waiting: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._left_out = 0
        self._thread = threading.Thread(target=self._speak, name="voice", daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Have one line written, soon."""
        try:
            if self._left_out:
                self._waiting.put_nowait(f"({self._left_out} lines could not be written)")
                self._left_out = 0
            self._waiting.put_nowait(line)
        except queue.Full:
            self._left_out += 1

    def close(self) -> None:
        """Wait until everything is written, for a second at most."""
        try:
            self._waiting.put(None, timeout=_LAST_WORDS_SECONDS)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS_SECONDS)

    def _speak(self) -> None:
        while (line := self._waiting.get()) is not None:
            rest = f"{line}\n".encode(errors="replace")
            try:
                while rest:
                    rest = rest[os.write(self._fd, rest) :]
            except OSError:  # nobody listens any more: go on in silence
                continue
