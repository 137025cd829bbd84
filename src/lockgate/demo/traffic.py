"""The demo's callers: a few people at the desk, a ticket queue, a screening machine.

Every caller talks HTTP to the front door like anybody else, and keeps what it was told, so that it
can be held against the ledger afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import msgspec

from lockgate.ai.models.sse import EventParser
from lockgate.ai.models.wire import Response, Wire
from lockgate.core.clock import Clock
from lockgate.core.errors import BackendError
from lockgate.core.payload import Json
from lockgate.demo.project import Sample

PATIENCE_S = 12.0
"""How long a caller waits; longer than any service's deadline, so that a hang would show."""

QUESTIONS = (
    "When will my order arrive?",
    "How can I return a jacket that does not fit?",
    "Where do I find my invoice?",
    "Do you ship to Norway?",
    "My parcel says delivered but I have not got it.",
    "Can I change the address of order 48213?",
    "Is the blue kettle in stock again soon?",
    "I was charged twice, my card is 4111 1111 1111 1111.",
)
TICKETS = (
    "My parcel has not arrived and the courier does not answer.",
    "I need a refund, the payment was taken twice.",
    "The website shows an error page when I open my basket.",
    "I cannot log in, the password reset e-mail never comes.",
    "Please send the invoice for March again.",
    "The app crashes on my phone since the update.",
    "Wrong address on the package, can you still change it?",
    "How do I change the username in my profile?",
)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller was told about one call.

    Attributes:
        at: Monotonic seconds at which the answer was complete.
        trouble: Why there was no complete answer, empty if there was one.
        expected: For `screening`: what the model says in the demo's own process.
    """

    service: str
    at: float
    seconds: float
    status: int = 0
    request_id: str = ""
    outcome: str = ""
    cost: str = ""
    confidence: float | None = None
    answer: Json = None
    trouble: str = ""
    expected: Sample | None = None


class Desk:
    """Callers of all three services, until they are told to go home."""

    def __init__(
        self, wire: Wire, samples: tuple[Sample, ...], clock: Clock, told: Callable[[Told], None]
    ) -> None:
        self._wire = wire
        self._samples = samples
        self._clock = clock
        self._told = told
        self._random = random.Random(7)  # noqa: S311 — which question comes next is no secret
        self._open = True

    async def run(self) -> None:
        """Call until `close`; return when every call has been answered."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self._repeat(self._ask, pause=0.6))
            group.create_task(self._repeat(self._stream, pause=0.8))
            group.create_task(self._repeat(self._sort, pause=0.6))
            group.create_task(self._repeat(self._screen, pause=0.12))

    def close(self) -> None:
        """Start no further call."""
        self._open = False

    async def _repeat(self, call: Callable[[], Awaitable[Told]], pause: float) -> None:
        while self._open:
            self._told(await call())
            await asyncio.sleep(pause * self._random.uniform(0.5, 1.5))

    async def _ask(self) -> Told:
        return await self._post("assistant", b"/v1/chat/completions", self._question())

    async def _sort(self) -> Told:
        ticket = {"ticket": self._random.choice(TICKETS)}
        return await self._post("router", b"/v1/services/router/predict", ticket)

    async def _screen(self) -> Told:
        sample = self._random.choice(self._samples)
        told = await self._post("screening", b"/v1/services/screening/predict", sample.features)
        return msgspec.structs.replace(told, expected=sample)

    def _question(self) -> dict[str, Json]:
        text = self._random.choice(QUESTIONS)
        message = {"role": "user", "content": text}
        return {"model": "assistant", "messages": [message], "max_tokens": 32}

    async def _post(self, service: str, path: bytes, body: Json) -> Told:
        began = self._clock.monotonic()
        try:
            response = await self._wire.post(
                path, msgspec.json.encode(body), deadline=began + PATIENCE_S
            )
        except BackendError as error:
            return self._nothing(service, began, error)
        return self._whole(service, began, response)

    def _whole(self, service: str, began: float, response: Response) -> Told:
        now = self._clock.monotonic()
        sure = response.headers.get(b"x-lockgate-confidence")
        return Told(
            service=service,
            at=now,
            seconds=now - began,
            status=response.status,
            request_id=response.headers.get(b"x-request-id", b"").decode(),
            outcome=response.headers.get(b"x-lockgate-outcome", b"").decode(),
            cost=response.headers.get(b"x-lockgate-cost-usd", b"").decode(),
            confidence=None if sure is None else float(sure),
            answer=msgspec.json.decode(response.body),
        )

    def _nothing(self, service: str, began: float, error: BackendError) -> Told:
        now = self._clock.monotonic()
        return Told(service=service, at=now, seconds=now - began, trouble=error.message)

    async def _stream(self) -> Told:
        """Ask for a stream; its outcome, cost and confidence are in its last chunk."""
        body = {**self._question(), "stream": True}
        began = self._clock.monotonic()
        try:
            stream = await self._wire.stream(
                b"/v1/chat/completions", msgspec.json.encode(body), deadline=began + PATIENCE_S
            )
            parser = EventParser()
            events = [event.data async for part in stream for event in parser.feed(part)]
        except BackendError as error:
            return self._nothing("assistant", began, error)
        now = self._clock.monotonic()
        return Told(
            service="assistant",
            at=now,
            seconds=now - began,
            status=stream.status,
            request_id=stream.headers.get(b"x-request-id", b"").decode(),
            **_last_words(events),
        )


def _last_words(events: list[bytes]) -> dict[str, Json]:
    """Read what the end of a stream says: the facts of a complete one, or its error."""
    if not events or events[-1] != b"[DONE]":
        said = msgspec.json.decode(events[-1]) if events else {}
        if "error" in said:
            return {"outcome": "failed", "answer": said["error"]}
        return {"trouble": "the stream ended without [DONE] and without an error"}
    facts: dict[str, Json] = {}
    for event in events[:-1]:
        facts = msgspec.json.decode(event).get("lockgate", facts)
    return {
        "outcome": facts.get("outcome", ""),
        "cost": facts.get("cost_usd", ""),
        "confidence": facts.get("confidence"),
    }
