"""A real front door on a real socket, and the real request path, before models that are fakes."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import msgspec
import uvloop

from lockgate.app.api.arrival import App
from lockgate.app.api.front import Check, Front, Metadata, Offer, TensorSpec, build_app
from lockgate.core.clock import SystemClock, SystemIds
from lockgate.core.entry import Entry
from lockgate.core.errors import BackendError, Unauthenticated
from lockgate.core.exchange import Answer, Caller
from lockgate.core.payload import ChatChunk, ChatReply, ChatStream, Usage
from lockgate.core.ports import Ask
from lockgate.processes.server import Server
from lockgate.processes.shared import Limits
from lockgate.testing.fakes import FakeRecorder
from lockgate.testing.paths import Bench

KEY = "lg-test-key"
"""May use every service."""
NARROW_KEY = "lg-narrow-key"
"""May use nothing but `router`."""
LIMIT = 1_000_000


def identify(presented: str | None) -> Caller:
    """Know two keys."""
    if presented == KEY:
        return Caller(key_id="k1", tenant="acme")
    if presented == NARROW_KEY:
        return Caller(key_id="k2", tenant="acme", services=frozenset({"router"}))
    if presented is None:
        raise Unauthenticated("You didn't provide an API key.")
    raise Unauthenticated("Incorrect API key provided.")


@dataclass
class Model:
    """A model that does whatever *does* does, and remembers what it was asked."""

    does: Callable[[Ask], Awaitable[Answer]]
    asked: list[Ask] = field(default_factory=list[Ask])

    async def answer(self, ask: Ask) -> Answer:
        """Answer as told."""
        self.asked.append(ask)
        return await self.does(ask)

    async def ready(self) -> bool:
        """Say yes."""
        return True

    async def close(self) -> None:
        """Hold nothing, so give up nothing."""


def says(*script: Answer | Exception) -> Model:
    """Make a model that gives *script* in order, the last one for ever."""
    steps = list(script)

    async def does(_ask: Ask) -> Answer:
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if isinstance(step, Exception):
            raise step
        return step

    return Model(does)


def streams(*chunks: ChatChunk | BackendError, pause_s: float = 0.0) -> Model:
    """Make a model that streams *chunks*, each after a pause."""

    async def does(_ask: Ask) -> Answer:
        return Answer(reply=ChatStream(_paced(chunks, pause_s)), target="small")

    return Model(does)


async def _paced(
    chunks: Sequence[ChatChunk | BackendError], pause_s: float
) -> AsyncIterator[ChatChunk]:
    for chunk in chunks:
        if pause_s:
            await asyncio.sleep(pause_s)
        if isinstance(chunk, BackendError):
            raise chunk
        yield chunk


def raw_chunk(value: dict[str, Any], **known: Any) -> ChatChunk:
    """Make a chunk as an upstream's JSON would be read."""
    fields = {name: msgspec.Raw(msgspec.json.encode(part)) for name, part in value.items()}
    return ChatChunk(fields=fields, **known)


def upstream_reply(content: str = "hi", **more: Any) -> Answer:
    """Make an answer as an OpenAI-compatible upstream gives it."""
    body: dict[str, Any] = {
        "id": "chatcmpl-up",
        "object": "chat.completion",
        "created": 5,
        "model": "/secret/path/model.gguf",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        **more,
    }
    fields = {name: msgspec.Raw(msgspec.json.encode(part)) for name, part in body.items()}
    return Answer(
        reply=ChatReply(fields=fields, text=content),
        target="small",
        usage=Usage(input_tokens=7, output_tokens=3),
    )


async def one_tensor() -> Metadata:
    """Describe a model of one tensor in and one out."""
    return Metadata(
        platform="test",
        inputs=(TensorSpec(name="x", datatype="FP64", shape=(-1, 2)),),
        outputs=(TensorSpec(name="y", datatype="FP64", shape=(-1,)),),
    )


@dataclass
class Plan:
    """What stands behind a door, before it opens.

    Attributes:
        chat: Answers for `assistant`.
        rows: Answers for `router` and, with tensors, for `screening`.
    """

    chat: Model = field(default_factory=lambda: says(upstream_reply()))
    rows: Model = field(default_factory=lambda: says(upstream_reply()))
    bench: dict[str, Any] = field(default_factory=dict[str, Any])
    deadline_s: float = 10.0
    checks: tuple[Check, ...] = (Check(name="store", ok=True, detail="read in 1 ms"),)
    body_s: float = 30.0
    head_s: float = 10.0
    idle_s: float = 75.0

    def front(self, recorder: FakeRecorder, away: list[str]) -> Front:
        """Build what the application is made of."""
        clock = SystemClock()
        offers: dict[str, Offer] = {}
        for name, kind, model in (
            ("assistant", "chat", self.chat),
            ("router", "predict", self.rows),
            ("screening", "predict", self.rows),
        ):
            settings: dict[str, Any] = {"clock": clock, "recorder": recorder, **self.bench}
            bench = Bench(targets={"small": model}, **settings)
            offers[name] = Offer(
                name=name,
                kind="chat" if kind == "chat" else "predict",
                path=bench.path(),
                body_limit=LIMIT if kind == "chat" else LIMIT // 2,
                deadline_s=self.deadline_s,
                created=1_700_000_000,
                release="r1",
                purpose="a test",
                metadata=one_tensor if name == "screening" else None,
            )
        return Front(
            offers=offers,
            identify=identify,
            clock=clock,
            ids=SystemIds(),
            checks=self._checks,
            metrics=lambda: b"lockgate_up 1\n",
            turned_away=away.append,
        )

    async def _checks(self) -> tuple[Check, ...]:
        return self.checks


@dataclass
class Door:
    """An open front door.

    Attributes:
        away: Codes of the requests that were turned away before they became calls.
    """

    port: int
    recorder: FakeRecorder
    away: list[str]

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def entries(self) -> list[Entry]:
        """What has been recorded."""
        return self.recorder.entries

    def entry(self, within_s: float = 5.0) -> Entry:
        """Give the last recorded call; wait for it if it is still being recorded."""
        until = time.monotonic() + within_s
        while not self.entries and time.monotonic() < until:
            time.sleep(0.005)
        return self.entries[-1]

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        key: str | None = KEY,
        **headers: str,
    ) -> Got:
        """Send one request, headers named with `_` for `-`, and read the whole answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named["authorization"] = f"Bearer {key}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Got(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(self, path: str, value: Any, **headers: str) -> Got:
        """Send *value* as JSON."""
        return self.send("POST", path, msgspec.json.encode(value), **headers)

    def chat(self, value: Any, **headers: str) -> Got:
        """Send *value* as a chat request."""
        return self.post("/v1/chat/completions", value, **headers)

    def raw(self) -> socket.socket:
        """Open a connection to write bytes to."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@dataclass(frozen=True)
class Got:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        """The body's OpenAI error object."""
        return self.json()["error"]


@contextmanager
def opened(plan: Plan) -> Generator[Door]:
    """Open the door of *plan* on a free port until the block ends."""
    recorder: FakeRecorder = plan.bench.get("recorder") or FakeRecorder()
    away: list[str] = []
    app = build_app(plan.front(recorder, away))
    limits = Limits(head=plan.head_s, body=plan.body_s, idle=plan.idle_s, tick=0.02)
    with running(app, limits) as port:
        yield Door(port, recorder, away)


@contextmanager
def running(app: App, limits: Limits) -> Generator[int]:
    """Run *app* in a thread, as a worker does in its process."""
    drains: Queue[Callable[[], None]] = Queue()

    async def serve() -> None:
        server = Server(app, limits)
        server.open(listening)
        loop = asyncio.get_running_loop()
        drains.put(lambda: loop.call_soon_threadsafe(server.drain) and None)
        await server.serve()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: uvloop.run(serve()), daemon=True)
        thread.start()
        drain = drains.get(timeout=20)
        try:
            yield listening.getsockname()[1]
        finally:
            drain()
            thread.join(20)


USER = [{"role": "user", "content": "hello"}]
