"""A worker that serves a tiny application: `/slow` answers after a second, the rest at once."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lockgate.processes.http import StrictHttp
from lockgate.processes.worker import main


class TinyHouse:
    """Echoes what arrived; leaves a note in the run folder when it is closed in order."""

    def __init__(self, run: Path, name: str) -> None:
        self._note = run / f"{name}.closed"

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer any request with what arrived of it."""
        body = await _body(receive)
        if body is None:
            return
        if scope["path"] == "/slow":
            await asyncio.sleep(1.0)
        if scope["path"] == "/stuck":
            await asyncio.Event().wait()
        text = json.dumps(
            {
                "path": scope["path"],
                "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
                "body": len(body),
            }
        ).encode()
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(text))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": text})

    async def close(self) -> None:
        """Leave the note."""
        self._note.touch()


async def _body(receive: Any) -> bytes | None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        if not message["more_body"]:
            return body


async def open_house(asked: argparse.Namespace) -> TinyHouse:
    """Open it, at once."""
    return TinyHouse(asked.run, asked.name)


if __name__ == "__main__":
    StrictHttp.head_seconds = 2.0
    sys.exit(main(open_house=open_house))
