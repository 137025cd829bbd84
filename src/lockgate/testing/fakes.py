"""Doubles that do what they are told and remember what they were asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from lockgate.core.entry import Entry
from lockgate.core.errors import BackendError, StoreError
from lockgate.core.exchange import Answer, Decision, Verdict
from lockgate.core.payload import ChatChunk
from lockgate.core.ports import Ask, Screened


@dataclass
class FakeClock:
    """A clock that moves only when told to."""

    seconds: float = 1000.0
    wall_ns: int = 1_700_000_000_000_000_000

    def monotonic(self) -> float:
        """Give the time last set."""
        return self.seconds

    def now_ns(self) -> int:
        """Give the wall time last set."""
        return self.wall_ns


@dataclass
class FakeBackend:
    """Give the scripted answers in order, the last one for ever, and remember what was asked."""

    script: Sequence[Answer | Exception]
    asked: list[Ask] = field(default_factory=list[Ask])

    async def answer(self, ask: Ask) -> Answer:
        """Give the next scripted answer, or raise the next scripted error."""
        step = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append(ask)
        if isinstance(step, Exception):
            raise step
        return step

    async def ready(self) -> bool:
        """Say yes, unless the script is at an error."""
        return not isinstance(self.script[min(len(self.asked), len(self.script) - 1)], Exception)

    async def close(self) -> None:
        """Hold nothing, so give up nothing."""


@dataclass
class FakeRecorder:
    """Keep what was recorded; fail while *full*."""

    entries: list[Entry] = field(default_factory=list[Entry])
    full: bool = False

    def record(self, entry: Entry) -> None:
        """Keep *entry*."""
        if self.full:
            raise StoreError("the disk is full")
        self.entries.append(entry)


@dataclass
class FakeGuard:
    """Mend or refuse every occurrence of one word."""

    word: str
    decision: Decision = Decision.MEND
    placeholder: str = "[gone]"

    def inspect(self, text: str) -> Screened:
        """Replace the word and say so."""
        if self.word not in text:
            return Screened(text)
        verdict = Verdict(by="fake", decision=self.decision, reason="1 found")
        return Screened(text.replace(self.word, self.placeholder), (verdict,))

    def hold(self, text: str) -> int:
        """Hold what could be the beginning of the word."""
        return next(
            (n for n in range(len(self.word) - 1, 0, -1) if text.endswith(self.word[:n])), 0
        )


class FakeChunks:
    """A stream that gives scripted chunks, then ends or breaks; remembers whether it was closed."""

    def __init__(self, chunks: Sequence[ChatChunk | BackendError]) -> None:
        self._left = list(chunks)
        self.closed = False

    def __aiter__(self) -> AsyncIterator[ChatChunk]:
        return self

    async def __anext__(self) -> ChatChunk:
        """Give the next chunk or raise the scripted error."""
        if not self._left:
            raise StopAsyncIteration
        step = self._left.pop(0)
        if isinstance(step, BackendError):
            raise step
        return step

    async def aclose(self) -> None:
        """Remember that the reader left."""
        self.closed = True
