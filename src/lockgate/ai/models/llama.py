"""Language models in GGUF files: llama.cpp's own server in a runner, and its replicas' backend.

The server speaks OpenAI's protocol on the runner's unix socket, so in the worker each replica is
an `OpenAIBackend`; here is only what chooses among them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from lockgate.core.clock import Clock, SystemClock
from lockgate.core.errors import BackendError, BackendGone, BackendTimeout, ManifestError
from lockgate.core.exchange import Answer
from lockgate.core.payload import ChatChunk, ChatStream
from lockgate.core.ports import Ask, Backend

PROBE_S: Final = 0.25
"""A replica in doubt is asked whether it is there again at most so often, and only by calls."""
MOST_THREADS: Final = 8


class LlamaBackend:
    """Gives each call to the replica with the fewest calls under way.

    A replica that was gone or out of time is in doubt: it is passed over as long as others are
    not, until it says that it is ready.

    Args:
        replicas: A backend per runner; closed with this one.
        clock: Paces the questions to replicas in doubt.
    """

    def __init__(self, name: str, replicas: Iterable[Backend], clock: Clock | None = None) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        self._replicas = tuple(_Replica(backend) for backend in replicas)

    async def answer(self, ask: Ask) -> Answer:
        replica = self._choose()
        replica.load += 1
        try:
            answer = await replica.backend.answer(ask)
        except BaseException as error:
            replica.end(error)
            raise
        if not isinstance(answer.reply, ChatStream):
            replica.end(None)
            return answer
        counted = ChatStream(_Counted(answer.reply, replica.end))
        return msgspec.structs.replace(answer, reply=counted)

    async def ready(self) -> bool:
        """Say whether a replica is ready."""
        return any(await asyncio.gather(*(each.backend.ready() for each in self._replicas)))

    async def close(self) -> None:
        await asyncio.gather(*(replica.close() for replica in self._replicas))

    def _choose(self) -> _Replica:
        sure = [replica for replica in self._replicas if not replica.doubted]
        if sure and len(sure) < len(self._replicas):
            now = self._clock.monotonic()
            for replica in self._replicas:
                replica.probe(now)
        return min(sure or self._replicas, key=lambda replica: replica.load)


class _Replica:
    """One runner: how many calls it has, and whether it can be counted on."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.load = 0
        self.doubted = False
        self._probe: asyncio.Task[None] | None = None
        self._probe_at = 0.0

    def end(self, error: BaseException | None) -> None:
        """Count a call as over; *error* is how it failed."""
        self.load -= 1
        if error is None:
            self.doubted = False
        elif isinstance(error, BackendGone | BackendTimeout):
            self.doubted = True

    def probe(self, now: float) -> None:
        """Find out in the background whether doubts are still in place."""
        if self.doubted and self._probe is None and now >= self._probe_at:
            self._probe_at = now + PROBE_S
            self._probe = asyncio.get_running_loop().create_task(self._ask())

    async def close(self) -> None:
        if self._probe is not None:
            self._probe.cancel()
        await self.backend.close()

    async def _ask(self) -> None:
        try:
            if await self.backend.ready():
                self.doubted = False
        finally:
            self._probe = None


class _Counted:
    """A stream that says once when it is over, and how."""

    def __init__(self, stream: ChatStream, end: Callable[[BaseException | None], None]) -> None:
        self._chunks = stream.chunks
        self._end: Callable[[BaseException | None], None] | None = end

    def __aiter__(self) -> _Counted:
        return self

    async def __anext__(self) -> ChatChunk:
        try:
            return await anext(self._chunks)
        except StopAsyncIteration:
            self._over(None)
            raise
        except BackendError as error:
            self._over(error)
            raise

    async def aclose(self) -> None:
        """Abort the upstream request."""
        self._over(asyncio.CancelledError())
        close: Any = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()

    def _over(self, error: BaseException | None) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(error)


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """How llama.cpp is to serve a model.

    Attributes:
        context: Tokens of each parallel call.
        threads: As many as there are cores to use, at most 8, if None.
    """

    path: Path
    context: int
    parallel: int
    threads: int | None


def serve_llama(settings: LlamaSettings, socket: Path, token: str) -> object:
    """Load the model and serve it on *socket*; it serves for as long as the result is kept.

    Raises:
        ManifestError: xllamacpp is not installed, or it cannot load the file.
    """
    llama = _xllamacpp()
    before = os.umask(0o177)  # the socket is for this user alone, from its first moment
    try:
        return llama.Server(_parameters(llama, settings, socket, token))
    except (RuntimeError, ValueError) as error:
        finding = f"file: llama.cpp cannot serve {settings.path}: {error}"
        raise ManifestError((finding,)) from error
    finally:
        os.umask(before)


def _xllamacpp() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        finding = "llama models need an extra: pip install 'lockgate[llama]'"
        raise ManifestError((finding,)) from error
    return xllamacpp


def _parameters(llama: Any, settings: LlamaSettings, socket: Path, token: str) -> Any:
    parameters = llama.CommonParams()
    parameters.model.path = str(settings.path)
    parameters.hostnames = [str(socket)]
    parameters.api_keys = [token] if token else []  # started by hand: the file's mode guards it
    parameters.n_ctx = settings.context * settings.parallel
    parameters.n_parallel = settings.parallel
    parameters.cpuparams.n_threads = settings.threads or _threads()
    parameters.verbosity = -1
    parameters.ui = False
    parameters.cache_ram_mib = 0  # 8 GB by default: memory must stay flat
    return parameters


def _threads() -> int:
    """Leave one core to the door: llama.cpp's threads wait for each other by spinning.

    With as many threads as cores, one busy neighbour made it six times slower on two cores.
    """
    return max(1, min(_cores() - 1, MOST_THREADS))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
