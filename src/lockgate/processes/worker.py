"""A worker: the data plane. Answers calls on the socket that the supervisor listens on.

Runs as `python -m lockgate.processes.worker`. It says `ready` on stderr once it accepts, and
drains when it gets SIGTERM or when the supervisor is gone (stdin ends).
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import uvloop

from lockgate.app.api.arrival import App
from lockgate.core.errors import LockgateError
from lockgate.processes.child import READY, TOKEN
from lockgate.processes.discretion import hush
from lockgate.processes.lifeline import Lifeline
from lockgate.processes.server import Server
from lockgate.processes.shared import LIMITS, Limits

_YOUNG_OBJECTS = 200_000  # about 40 MB, were all of them garbage


class House(Protocol):
    """What a worker serves."""

    @property
    def app(self) -> App:
        """Answers the requests."""
        ...

    async def close(self) -> None:
        """Give up connections, and write what is still in memory."""
        ...


OpenHouse = Callable[[argparse.Namespace], Awaitable[House]]


async def serve(asked: argparse.Namespace, open_house: OpenHouse, limits: Limits = LIMITS) -> None:
    """Serve until asked to stop, then drain; every task has ended when this returns."""
    house = await open_house(asked)
    server = Server(house.app, limits, grace=asked.grace)
    _listen_for_the_end(server.drain)
    _collect_seldom()
    server.open(socket.socket(fileno=asked.fd))
    print(READY, file=sys.stderr, flush=True)  # noqa: T201 — the supervisor waits for it
    await server.serve()
    await house.close()


def _listen_for_the_end(drain: Callable[[], None]) -> None:
    """Drain on SIGTERM and SIGINT, and when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, drain)
    Lifeline().hold(drain)


def _collect_seldom() -> None:
    """Keep the garbage collector off the calls' backs.

    Measured with 64 connections: by default it takes 10 µs of each call and stops all of them for
    30 ms now and then, to look through what start-up built. Calls leave no cycles behind, so the
    number of new objects only swings with the calls in flight; a cycle that does come about waits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


async def open_from_manifest(asked: argparse.Namespace) -> House:
    """Assemble everything that the manifest names."""
    from lockgate.assemble import open_house
    from lockgate.processes.plan import Asked, load_for_serving

    token = os.environ.pop(TOKEN, "")
    settings = Asked(asked.manifest, asked.env, workers=asked.workers)
    loaded = load_for_serving(settings, os.environ)
    hush(quote=loaded.manifest.serve.quote_errors)
    return await open_house(loaded, run_dir=asked.run, token=token, worker=asked.name)


def main(
    words: Sequence[str] | None = None,
    open_house: OpenHouse = open_from_manifest,
    limits: Limits = LIMITS,
) -> int:
    """Run one worker; the exit code is for the supervisor."""
    asked = _arguments().parse_args(words)
    try:
        uvloop.run(serve(asked, open_house, limits))
    except LockgateError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lockgate.processes.worker")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--env")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--grace", type=int, default=20)
    return parser


if __name__ == "__main__":
    sys.exit(main())
