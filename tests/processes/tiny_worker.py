"""A worker that serves a tiny application: `/slow` answers after a second, the rest at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from lockgate.app.api.arrival import Arrival, Response
from lockgate.processes.shared import Limits
from lockgate.processes.worker import main


class TinyApp:
    """Echoes what arrived."""

    def admits(self, arrival: Arrival) -> int:
        """Wait for a megabyte."""
        return 1_000_000

    async def __call__(self, arrival: Arrival) -> None:
        """Answer any request with what arrived of it."""
        if arrival.path == "/slow":
            await asyncio.sleep(1.0)
        if arrival.path == "/stuck":
            await asyncio.Event().wait()
        text = json.dumps(
            {
                "path": arrival.path,
                "headers": [
                    [name.decode(), value.decode()] for name, value in arrival.headers.items()
                ],
                "body": len(arrival.body),
            }
        ).encode()
        arrival.respond(Response(200, text))


class TinyHouse:
    """Leaves a note in the run folder when it is closed in order."""

    def __init__(self, run: Path, name: str) -> None:
        self._note = run / f"{name}.closed"
        self.app = TinyApp()

    async def close(self) -> None:
        """Leave the note."""
        self._note.touch()


async def open_house(asked: argparse.Namespace) -> TinyHouse:
    """Open it, at once."""
    return TinyHouse(asked.run, asked.name)


if __name__ == "__main__":
    sys.exit(main(open_house=open_house, limits=Limits(head=2.0, tick=0.1)))
