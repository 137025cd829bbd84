"""Plays cases: over HTTP, through the path that `assemble.py` builds, before scripted models."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

from lockgate.app.api.front import Front, build_app
from lockgate.assemble import offers_of
from lockgate.core.clock import SystemIds
from lockgate.core.entry import Entry
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendGone,
    BackendTimeout,
    InputRejected,
    InputTooLong,
)
from lockgate.core.exchange import Answer, Evidenced, Note
from lockgate.core.money import usd
from lockgate.core.payload import (
    Chat,
    ChatChunk,
    ChatReply,
    ChatStream,
    Reply,
    RowsReply,
    Tensor,
    TensorsReply,
)
from lockgate.core.ports import Ask
from lockgate.manifest.load import load
from lockgate.processes.shared import Limits
from lockgate.request.record import Record
from lockgate.testing.fakes import FakeRecorder
from tests.api.door import KEY, NARROW_KEY, identify, one_tensor, running
from tests.paths.case import Call, Case, Does

PATIENCE_S: Final = 10.0
LIMITS: Final = Limits(head=0.5, body=0.3, tick=0.02)
KEYS: Final = {"good": KEY, "other": NARROW_KEY, "wrong": "lg-wrong"}
TROUBLES: Final[Mapping[str, Callable[[str], Exception]]] = {
    "gone": lambda name: BackendGone("nobody listens", target=name),
    "timeout": lambda name: BackendTimeout("no answer", target=name),
    "busy": lambda name: BackendBusy("too much to do", target=name, retry_after_s=2.0),
    "broken": lambda name: BackendBroken("not the protocol", target=name),
    "input": lambda name: InputRejected("HTTP 400", said="no images here", target=name),
    "too long": lambda name: InputTooLong("HTTP 400", said="9000 tokens", target=name),
    "bug": lambda _: ZeroDivisionError("a secret"),
}


class LaterClock:
    """The machine's clock, put forward."""

    def __init__(self) -> None:
        self.later = 0.0

    def monotonic(self) -> float:
        """Give the time as it would be."""
        return time.monotonic() + self.later

    def now_ns(self) -> int:
        """Give the wall time as it would be."""
        return time.time_ns() + round(self.later * 1e9)


class Scripted:
    """A model that does what a case says, call after call, the last thing for ever."""

    def __init__(self, name: str, script: tuple[Does, ...]) -> None:
        self._name = name
        self._script = script
        self.asked = 0

    async def answer(self, ask: Ask) -> Answer:
        """Do the next thing."""
        step = self._script[min(self.asked, len(self._script) - 1)]
        self.asked += 1
        if step.waits:
            await asyncio.Event().wait()
        if step.fails is not None:
            raise TROUBLES[step.fails](self._name)
        sure = () if step.sure is None else (math.log(step.sure),)
        return Answer(reply=_reply(step, ask), target=self._name, raw=Evidenced(logprobs=sure))

    async def ready(self) -> bool:
        """Say yes."""
        return True

    async def close(self) -> None:
        """Hold nothing, so give up nothing."""


def _reply(step: Does, ask: Ask) -> Reply:
    if step.streams:
        return ChatStream(_pieces(step))
    if step.numbers:
        shape = (len(step.numbers),)
        tensor = Tensor(name="y", datatype="FP64", shape=shape, data=list(step.numbers))
        return TensorsReply(outputs=(tensor,))
    if isinstance(ask.request, Chat):
        return ChatReply(text=step.says)
    return RowsReply(output=step.says)


async def _pieces(step: Does) -> AsyncIterator[ChatChunk]:
    for text in step.streams:
        yield ChatChunk(text=text)
    if step.breaks:
        raise BackendGone("the line was cut", after_output=True)
    yield ChatChunk(finish_reason="stop")


class House:
    """The house of one case, open."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.recorder = FakeRecorder(full=case.disk == "full")
        self.models = {name: Scripted(name, does) for name, does in case.models.items()}
        self.clock = LaterClock()
        loaded = load(_written(case, folder), environ={})
        record = Record((self.recorder,), self.clock)
        offers = offers_of(loaded, self.models, record, self.clock)
        self.front = Front(
            offers={name: replace(offer, metadata=one_tensor) for name, offer in offers.items()},
            identify=identify,
            clock=self.clock,
            ids=SystemIds(),
            checks=_nothing_to_check,
            metrics=bytes,
        )
        self._open = ExitStack()
        self.port = 0

    @contextmanager
    def opened(self) -> Generator[None]:
        """Serve until the block ends; who is still waiting then hangs up."""
        with running(build_app(self.front), LIMITS) as self.port, self._open:
            yield

    def play(self, call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
        """Make *call*; give what the caller got, and what was recorded of it."""
        self.clock.later += call.later
        before, asked = len(self.recorder.entries), self._asked()
        line = self._open.enter_context(socket.create_connection(("127.0.0.1", self.port), 20))
        line.sendall(request(call))
        if call.goes_on or call.leaves:
            _wait(lambda: self._asked() > asked)
        if call.goes_on:
            return {}, {}
        if call.leaves:
            line.close()
            _wait(lambda: len(self.recorder.entries) > before)
        got = {} if call.leaves else answer(line)
        line.close()
        kept = [recorded(entry) for entry in self.recorder.entries[before:]]
        assert len(kept) <= 1
        return got, kept[0] if kept else {}

    def _asked(self) -> int:
        return sum(model.asked for model in self.models.values())


async def _nothing_to_check() -> tuple[()]:
    return ()


def _wait(done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until
        time.sleep(0.002)


def _written(case: Case, folder: Path) -> Path:
    """Write the manifest of *case*, and the schemas of its contracts beside it."""
    service: dict[str, Any] = {"kind": "chat", "targets": [*case.models][:1], **case.service}
    contract: dict[str, Any] = dict(service.get("contract", {}))
    for side, schema in contract.items():
        (folder / f"{side}.schema.json").write_text(json.dumps(schema))
        contract[side] = f"{side}.schema.json"
    model = {"kind": "openai", "url": "http://127.0.0.1:9/v1", "model": "m"}
    manifest = {
        "version": 1,
        "models": {name: {**model, "price": {"per_call": "0.01 USD"}} for name in case.models},
        "services": {name_of(service["kind"]): {**service, "contract": contract}},
    }
    path = folder / "lockgate.yaml"
    path.write_text(json.dumps(manifest))
    return path


def name_of(kind: str) -> str:
    """Give the name that a service of this kind has in all cases."""
    return "assistant" if kind == "chat" else "router"


def request(call: Call) -> bytes:
    """Write *call* as HTTP."""
    if call.http:
        return call.http.replace("{key}", KEY).replace("\n", "\r\n").encode()
    path, value = _asked(call)
    body = json.dumps(value).encode()
    headers = {"host": "x", "content-length": str(len(body)), **call.headers}
    if call.key in KEYS:
        headers["authorization"] = f"Bearer {KEYS[call.key]}"
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join((*lines, "", "")).encode() + body


def _asked(call: Call) -> tuple[str, Any]:
    if call.chat is not None:
        said = [{"role": "user", "content": call.chat}]
        asked = {"model": "assistant", "messages": said, "stream": call.stream}
        return "/v1/chat/completions", asked
    if call.infer:
        numbers = {"name": "x", "datatype": "FP64", "shape": [len(call.infer)], "data": call.infer}
        return "/v2/models/router/infer", {"inputs": [numbers]}
    assert call.predict is not UNSET
    return "/v1/services/router/predict", call.predict


def answer(line: socket.socket) -> dict[str, Any]:
    """Read an answer: everything that a case may say of it."""
    response = http.client.HTTPResponse(line)
    response.begin()
    body = response.read()
    streamed = response.getheader("content-type", "").startswith("text/event-stream")
    told = _streamed(body) if streamed else _whole(json.loads(body))
    headers = dict(response.getheaders())
    return {
        "status": response.status,
        "outcome": headers.get("x-lockgate-outcome"),
        "rung": headers.get("x-lockgate-rung", ""),
        "confidence": headers.get("x-lockgate-confidence"),
        "cost": headers.get("x-lockgate-cost-usd"),
        "retry after": headers.get("retry-after"),
        **told,
    }


def _whole(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {"text": body, "code": ""}
    if "choices" in body:
        return {"text": body["choices"][0]["message"]["content"], "code": ""}
    if "outputs" in body:
        return {"text": body["outputs"][0]["data"], "code": ""}
    if "error" in body:
        return {"text": None, "code": body["error"]["code"], "says": body["error"]["message"]}
    if "detail" in body:
        return {"text": None, "code": body["code"], "says": body["detail"]}
    return {"text": body, "code": ""}


def _streamed(body: bytes) -> dict[str, Any]:
    """Put a stream together; `done` says whether it came to its end."""
    events = [part.removeprefix("data: ") for part in body.decode().split("\n\n") if part]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    texts = [c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ())]
    codes = [chunk["error"]["code"] for chunk in chunks if "error" in chunk]
    return {"text": "".join(texts), "code": "".join(codes), "done": events[-1] == "[DONE]"}


def recorded(entry: Entry) -> dict[str, Any]:
    """Say what was recorded: everything that a case may say of it."""
    return {
        "outcome": entry.outcome,
        "status": entry.status,
        "code": entry.code,
        "ended": entry.ended,
        "rung": entry.rung,
        "target": entry.target,
        "cost": usd(entry.cost),
        "attempts": [f"{one.target}: {one.result}" for one in entry.attempts],
        "guards": [f"{one.by} {one.decision} {one.side}" for one in entry.verdicts],
        "trail": [_step(note) for note in entry.notes()],
    }


def _step(note: Note) -> str:
    return note.stage if note.event == "ran" else f"{note.stage}: {note.event}"
