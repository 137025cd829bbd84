"""The seams: what Lockgate asks of the parts it is assembled from.

Every seam has a conformance suite in `lockgate.testing.conformance`.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

import msgspec

from lockgate.core.entry import Entry
from lockgate.core.exchange import Answer, Caller, Exchange, Signal, Verdict
from lockgate.core.payload import Json, Request


class Stage(Protocol):
    """One step of the request path."""

    @property
    def name(self) -> str:
        """The stage's name in trails and metrics."""
        ...

    def __call__(self, exchange: Exchange) -> Exchange | Coroutine[Any, Any, Exchange]:
        """Return the next exchange; a stage that may have to wait is an `async def`.

        Raises:
            CallError: The call ends here.
        """
        ...


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt's question to a backend: the caller's request under the service's terms.

    Attributes:
        instructions: The service's prompt; goes before the caller's messages. Empty if none.
        output_schema: JSON Schema that the answer must match, as raw JSON, for backends that can
            constrain their output; None if the service has no output contract.
        signal: The raw confidence signal to ask the model for.
        deadline: Monotonic seconds after which the backend must have given up.
        first_output: Monotonic seconds by which output must have begun; None if only the
            deadline counts.
    """

    call_id: str
    request: Request
    instructions: str = ""
    output_schema: msgspec.Raw | None = None
    signal: Signal = Signal.NONE
    deadline: float
    first_output: float | None = None


class Backend(Protocol):
    """Something that answers: a model, a prompt against one, or a Python function.

    A backend neither prices nor judges; it leaves `confidence` and `cost` alone and sets `target`
    to its own name.
    """

    async def answer(self, ask: Ask) -> Answer:
        """Answer *ask*; for a stream, return as soon as it has begun.

        Raises:
            BackendError: It could not; the subclass says why.
        """
        ...

    async def ready(self) -> bool:
        """Say whether calls would be answered now, without asking anything that costs money."""
        ...

    async def close(self) -> None:
        """Give up connections and tasks."""
        ...


class Screened(msgspec.Struct, frozen=True):
    """A text after a guard has seen it: the text to go on with, and what was decided."""

    text: str
    verdicts: tuple[Verdict, ...] = ()


class Guard(Protocol):
    """Reads text on the way in or out, and decides."""

    def inspect(self, text: str) -> Screened:
        """Screen *text*; a `REFUSE` among the verdicts means the text must not pass."""
        ...

    def hold(self, text: str) -> int:
        """Count the characters at the end of *text* that could be the start of a finding.

        A stream sends all but these. Zero means nothing can be lost by sending everything.
        """
        ...


class Judge(Protocol):
    """Says how likely an answer is to be right."""

    def confidence(self, answer: Answer) -> float | None:
        """Give a probability between 0 and 1, or None if this answer cannot be judged."""
        ...


class Contract(Protocol):
    """The form an input or an output must have."""

    def findings(self, value: Json) -> tuple[str, ...]:
        """List what breaks the contract, each as `path: reason`; empty if nothing does."""
        ...


class Identify(Protocol):
    """Turns what a caller presents into who it is."""

    def __call__(self, presented: str | None) -> Caller:
        """Identify the holder of an API key.

        Raises:
            Unauthenticated: Nothing was presented, or nothing valid.
        """
        ...


class Recorder(Protocol):
    """Where finished calls go."""

    def record(self, entry: Entry) -> None:
        """Keep *entry* so that a kill of this process cannot lose it. One write, no wait.

        Raises:
            StoreError: It could not be kept.
        """
        ...
