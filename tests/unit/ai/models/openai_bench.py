"""What the tests of the OpenAI backend share."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Raw

from lockgate.ai.models.openai import OpenAIBackend
from lockgate.ai.models.openai_ask import Dialect
from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.payload import (
    Chat,
    Request,
)
from lockgate.core.ports import Ask
from lockgate.testing.upstream import (
    Upstream,
    Visit,
)

TOKEN = "hunter22hunter22"
SCHEMA = Raw(b'{"type":"object","properties":{"team":{"type":"string"}}}')


def chat(body: str, *, wants_logprobs: bool = False) -> Chat:
    """Build a chat from the JSON of its body."""
    fields = msgspec.json.decode(body, type=dict[str, Raw])
    stream = bytes(fields.get("stream", b"false")) == b"true"
    return Chat(fields=fields, messages=(), stream=stream, wants_logprobs=wants_logprobs)


def ask(request: Request, **terms: Any) -> Ask:
    """Ask *request* with ten seconds to go."""
    plain = Ask(call_id="c", request=request, deadline=time.monotonic() + 10)
    return msgspec.structs.replace(plain, **terms)


PLAIN = '{"model":"assistant","messages":[{"role":"user","content":"hi"}]}'
STREAM = '{"model":"assistant","messages":[{"role":"user","content":"hi"}],"stream":true}'
REPLY = (
    b'{"id": "x", "model":"up", "future": [1.0], "choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi \\u00e4","annotations": []},"finish_reason":"stop",'
    b'"logprobs":{"content":[{"token":"hi","logprob":-0.5},{"token":"b","prob":0.5}]}}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"details":{}}, "timings":{"a":1}}'
)


@asynccontextmanager
async def backend(
    answer: bytes | Sequence[bytes], *, dialect: Dialect = "openai", stay: bool = True
) -> AsyncGenerator[tuple[OpenAIBackend, Upstream]]:
    """Make a backend before an upstream that gives every request the pieces of *answer*."""
    pieces = [answer] if isinstance(answer, bytes) else answer

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.send(*pieces)
            if not stay:
                await visit.leave()
                return

    async with Upstream(script) as upstream:
        wire = Wire(
            Origin.parse(upstream.url),
            headers={"Authorization": f"Bearer {TOKEN}"},
            limit=2,
            connect_timeout=5,
        )
        made = OpenAIBackend("small", wire, model="up", dialect=dialect)
        try:
            yield made, upstream
        finally:
            await made.close()
