"""What of the children's talk reaches the server's stderr: nothing that may quote a caller."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from lockgate.core.raised import tell, written

_HELD_LINES: Final = 200
_FATAL = re.compile(r"[\w./+-]{1,200}:\d{1,6}: (?:GGML_ASSERT|fatal error)\b|(?:CUDA|HIP) error\b")
_HELD_BACK = (
    "what it says while it answers calls is not repeated, because it may quote them; "
    "`serve: {quote_errors: true}` repeats it"
)


class Discreet:
    """Stands between a child that may quote callers (llama.cpp quotes their schemas) and stderr.

    While it loads, what it says is kept, and repeated if it dies of that. Once it is at work, only
    the beginnings of lines about the end of the process are repeated. For the others there is one
    line that says so.
    """

    def __init__(self, repeat: Callable[[str], None]) -> None:
        self._repeat = repeat
        self._held: list[str] = []
        self._explained = False

    def hear(self, line: str, *, ready: bool) -> None:
        """Take in a line."""
        if not ready:
            if len(self._held) < _HELD_LINES:
                self._held.append(line)
        elif fatal := _FATAL.match(line):
            self._repeat(fatal[0])
        elif not self._explained:
            self._explained = True
            self._repeat(_HELD_BACK)

    def ended(self, *, ready: bool) -> None:
        """Say what it said while it was loading, if it never got further."""
        if not ready:
            for line in self._held:
                self._repeat(line)


def hush(*, quote: bool) -> None:
    """Have the log and the running loop tell where something failed, not with which words."""
    if quote:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Where())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    asyncio.get_running_loop().set_exception_handler(_unhandled)


class _Where(logging.Formatter):
    """Writes exceptions without their messages."""

    def formatException(  # noqa: N802 — logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return "" if ei[1] is None else written(ei[1], quote=False)


def _unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody was there to catch; the loop's own words quote arguments."""
    error = context.get("exception")
    if isinstance(error, BaseException):
        tell(error, quote=False)
