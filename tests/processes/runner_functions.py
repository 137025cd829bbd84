"""Functions that runner processes call in tests; copied beside the manifest."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

WORKING = Path(__file__).parent / "working"


@contextmanager
def counted() -> Generator[None]:
    """Leave a file in `working` for as long as a call is worked on."""
    WORKING.mkdir(exist_ok=True)
    mark = WORKING / f"{time.monotonic_ns()}"
    mark.touch()
    try:
        yield
    finally:
        mark.unlink()


def route(ticket: str) -> dict[str, object]:
    """Answer at once, and be noisy about it."""
    print("ready")  # noqa: T201 — that is the point
    print("\x81\xa5 not a frame", flush=True)  # noqa: T201
    sys.stdout.buffer.write(b"\0\0\0\5hello")
    return {"team": "billing" if "bill" in ticket else "tech", "confidence": 0.75}


async def work(seconds: float) -> str:
    """Take *seconds*, and stop when told to."""
    with counted():
        await asyncio.sleep(seconds)
    return "done"


def block(seconds: float) -> str:
    """Take *seconds*, and hear nothing meanwhile."""
    with counted():
        time.sleep(seconds)
    return "done"


async def count(text: str) -> AsyncIterator[str]:
    """Count to the number in *text*, ten a second after the first."""
    with counted():
        for number in range(int(text)):
            if number:
                await asyncio.sleep(0.1)
            yield f"{number} "
