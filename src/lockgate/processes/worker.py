"""A worker: the data plane. Answers calls on the socket that the supervisor listens on.

Runs as `python -m lockgate.processes.worker`. It says `ready` on stderr once it accepts, and
drains when it gets SIGTERM or when the supervisor is gone (stdin ends).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import Protocol

import uvicorn
import uvloop

from lockgate.core.errors import LockgateError
from lockgate.processes.accept import Doorkeeper
from lockgate.processes.child import READY, TOKEN
from lockgate.processes.http import IDLE_SECONDS, StrictHttp

_TICK_SECONDS = 1.0  # uvicorn renews the `date` header in its tick
_LAST_WORDS_SECONDS = 2.0
_YOUNG_OBJECTS = 200_000  # about 40 MB, were all of them garbage


class House(Protocol):
    """What a worker serves."""

    @property
    def app(self) -> Callable[..., Awaitable[None]]:
        """The ASGI application."""
        ...

    async def close(self) -> None:
        """Give up connections, and write what is still in memory."""
        ...


OpenHouse = Callable[[argparse.Namespace], Awaitable[House]]


class Server(uvicorn.Server):
    """uvicorn's server with signals that only ask it to drain, and a slower heartbeat."""

    def __init__(self, config: uvicorn.Config, *, alone: bool) -> None:
        super().__init__(config)
        self._stop = asyncio.Event()
        self._alone = alone
        self._keepers: list[Doorkeeper] = []

    def drain(self) -> None:
        """Stop accepting and finish what is in flight; asked twice, stop at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stop.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Drain on SIGTERM and SIGINT, and end normally afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.drain)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._alone:
            await super().startup(sockets)
        else:
            self._keepers = [Doorkeeper(door, self._connection) for door in sockets or ()]
            self.servers = []
            self.started = True
        print(READY, file=sys.stderr, flush=True)  # noqa: T201 — the supervisor waits for it

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for keeper in self._keepers:
            await keeper.close()
        await super().shutdown(sockets)

    def _connection(self) -> StrictHttp:
        return StrictHttp(self.config, self.server_state, app_state={})

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _TICK_SECONDS)


class _Lifeline(asyncio.Protocol):
    """The supervisor's end of stdin: never says anything, and closes when it is gone."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio names it
        self._gone()


async def serve(asked: argparse.Namespace, open_house: OpenHouse) -> None:
    """Serve until asked to stop, then drain; every task has ended when this returns."""
    house = await open_house(asked)
    server = Server(_config(house.app, asked.grace), alone=asked.workers == 1)
    if _is_pipe(sys.stdin.fileno()):
        lifeline = _Lifeline(server.drain)
        await asyncio.get_running_loop().connect_read_pipe(lambda: lifeline, sys.stdin)
    _collect_seldom()
    await server.serve(sockets=[socket.socket(fileno=asked.fd)])
    if server.server_state.tasks:
        await asyncio.wait(server.server_state.tasks, timeout=_LAST_WORDS_SECONDS)
    await house.close()


def _collect_seldom() -> None:
    """Keep the garbage collector off the calls' backs.

    Measured with 64 connections: by default it takes 10 µs of each call and stops all of them for
    30 ms now and then, to look through what start-up built. Calls leave no cycles behind, so the
    number of new objects only swings with the calls in flight; a cycle that does come about waits.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def _is_pipe(descriptor: int) -> bool:
    """Tell a supervisor's pipe from a terminal or a file, whose end means nothing."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _config(app: Callable[..., Awaitable[None]], grace: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=StrictHttp,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=grace,
    )


async def open_from_manifest(asked: argparse.Namespace) -> House:
    """Assemble everything that the manifest names."""
    from lockgate.assemble import open_house
    from lockgate.processes.plan import Asked, load_for_serving

    token = os.environ.pop(TOKEN, "")
    settings = Asked(asked.manifest, asked.env, workers=asked.workers)
    loaded = load_for_serving(settings, os.environ)
    return await open_house(loaded, run_dir=asked.run, token=token, worker=asked.name)


def main(words: Sequence[str] | None = None, open_house: OpenHouse = open_from_manifest) -> int:
    """Run one worker; the exit code is for the supervisor."""
    asked = _arguments().parse_args(words)
    try:
        uvloop.run(serve(asked, open_house))
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
