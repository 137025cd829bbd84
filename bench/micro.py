"""`make micro`: what each step of a call costs, in this process, without a socket.

The service is the one that `make bench` measures, with everything on; only its model is replaced
by one that has answered already. Every call is a new one, so the cache never hits. The best
of several batches counts: what is left then is the code, not the machine.

Single steps are timed without the garbage collector, because a thousand calls held at the same
stage are this bench's doing. The whole is timed with it, and with nothing held.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import uvloop

from bench import gateways
from bench.load import Letters, Plan
from bench.upstream import completion
from lockgate.ai.models.openai_ask import chat_body
from lockgate.ai.models.openai_reply import read_whole
from lockgate.app.api import openai
from lockgate.app.api.chat_body import parse_chat
from lockgate.app.api.facts import facts_of
from lockgate.assemble import _Services
from lockgate.core.clock import SystemClock, SystemIds
from lockgate.core.exchange import Answer, Call, Caller, Evidenced, Exchange, Signal, Surface
from lockgate.core.payload import Chat
from lockgate.core.ports import Ask, Stage
from lockgate.manifest.load import load
from lockgate.request.path import Path
from lockgate.request.record import Record
from lockgate.store.address import Address
from lockgate.store.journal import Journal
from lockgate.store.keyring import Keyring

_T = TypeVar("_T")
CALLS, BATCHES = 1000, 7
CANNED = completion().split(b"\r\n\r\n", 1)[1]
CLOCK, IDS = SystemClock(), SystemIds()


class Instant:
    """A model that has answered before it is asked."""

    def __init__(self) -> None:
        whole = read_whole(CANNED, "openai", keep_logprobs=False)
        raw = Evidenced(logprobs=whole.logprobs)
        self._answer = Answer(reply=whole.reply, target="canned", usage=whole.usage, raw=raw)

    async def answer(self, ask: Ask) -> Answer:
        """Give the canned answer."""
        return self._answer

    async def ready(self) -> bool:
        """Say yes."""
        return True

    async def close(self) -> None:
        """Hold nothing, so give up nothing."""


class Costs:
    """The best time of each step so far, microseconds per call."""

    def __init__(self) -> None:
        self.best: dict[str, float] = {}

    def took(self, step: str, seconds: float, calls: int) -> None:
        """Note that *calls* of *step* took so long together."""
        each = seconds / calls * 1e6
        self.best[step] = min(each, self.best.get(step, each))

    def of(self, step: str, work: Callable[[], _T], calls: int) -> _T:
        """Time *work*, which does *calls* of *step*."""
        began = time.perf_counter()
        done = work()
        self.took(step, time.perf_counter() - began, calls)
        return done


async def stages(costs: Costs, path: Path, calls: Sequence[Call]) -> list[Exchange]:
    """Take all calls through the path one stage at a time."""
    exchanges = [Exchange(call=call) for call in calls]
    towards = [(stage, stage.name) for stage in path._towards]
    back = [(stage, f"{stage.name} (back)") for stage in path._back]
    for stage, name in (*towards, *back):
        exchanges = await _through(costs, stage, name, exchanges)
    costs.of("record", lambda: [path.record(one, 200) for one in exchanges], len(calls))
    for exchange in exchanges:
        path.close(exchange)
    return exchanges


async def _through(
    costs: Costs, stage: Stage, name: str, exchanges: Sequence[Exchange]
) -> list[Exchange]:
    began = time.perf_counter()
    after: list[Exchange] = []
    for exchange in exchanges:
        next_one = stage(exchange)
        after.append(next_one if isinstance(next_one, Exchange) else await next_one)
    costs.took(name, time.perf_counter() - began, len(exchanges))
    return after


async def whole(costs: Costs, path: Path, calls: Sequence[Call]) -> None:
    """Carry all calls as the front door does: path, answer, record, leases."""
    began = time.perf_counter()
    for call in calls:
        exchange = await path.carry(call)
        _written(exchange)
        path.record(exchange, 200)
        path.close(exchange)
    costs.took("all of it: carry + answer + record", time.perf_counter() - began, len(calls))


def edges(costs: Costs, letters: Letters, identify: Callable[[str], Caller], key: str) -> None:
    """Time what comes before and after the path: decoding, the key, both bodies of the model."""
    bodies = [letters.body() for _ in range(CALLS)]
    asked = costs.of("decode the body", lambda: [parse_chat(body) for body in bodies], CALLS)
    costs.of("check the key", lambda: [identify(key) for _ in range(CALLS)], CALLS)
    asks = [Ask(call_id="", request=one.chat, signal=Signal.LOGPROB, deadline=1e9) for one in asked]
    costs.of(
        "write the model's request",
        lambda: [chat_body(ask, cast("Chat", ask.request), "canned", "openai") for ask in asks],
        CALLS,
    )
    costs.of(
        "read the model's answer",
        lambda: [read_whole(CANNED, "openai", keep_logprobs=False) for _ in range(CALLS)],
        CALLS,
    )


def make_calls(letters: Letters, caller: Caller) -> list[Call]:
    """Make calls as the front door would, each with a question of its own."""
    now = CLOCK.monotonic()
    return [
        Call(
            id=IDS.new(),
            service="assistant",
            surface=Surface.CHAT,
            caller=caller,
            request=parse_chat(letters.body()).chat,
            received=now,
            received_at=CLOCK.now_ns(),
            deadline=now + 3600,
        )
        for _ in range(CALLS)
    ]


async def measure() -> Costs:
    """Set the service up, and time all steps of it batch after batch."""
    manifest, key = gateways.project("http://127.0.0.1:9", port=0, places=CALLS)
    loaded = load(manifest, environ={})
    keyring = Keyring(Address(loaded.store_url()))
    await asyncio.to_thread(keyring.refresh)
    journal = Journal(manifest.parent / ".lockgate" / "journal", "micro")
    record = Record((journal,), CLOCK)
    path = _Services(loaded, {"canned": Instant()}, record, CLOCK).offer("assistant").path
    assert isinstance(path, Path)
    letters, costs = Letters(Plan("http://127.0.0.1", 1, 1)), Costs()
    for _ in range(BATCHES):
        gc.disable()
        edges(costs, letters, keyring, key)
        done = await stages(costs, path, make_calls(letters, keyring(key)))
        _time_answers(costs, done)
        calls = make_calls(letters, keyring(key))
        del done
        gc.collect()
        gc.freeze()
        gc.enable()
        await whole(costs, path, calls)
        gc.unfreeze()
    journal.close()
    return costs


def _written(exchange: Exchange) -> bytes:
    """Write body and headers as the front door does."""
    facts = facts_of(exchange)
    facts.headers()
    return openai.completion(exchange, facts)


def _time_answers(costs: Costs, done: Sequence[Exchange]) -> None:
    costs.of("write the answer", lambda: [_written(one) for one in done], len(done))


def main() -> None:
    """Print the costs."""
    costs: Costs = uvloop.run(measure())
    for step, each in costs.best.items():
        print(f"{each:8.2f} µs  {step}")


if __name__ == "__main__":
    main()
