"""What travels along the request path: a call on its way to an answer.

Everything is frozen; a stage returns the next exchange. The two exceptions are `Leases` (what
must be given back) and `Tally` (what a stream has come to), which must outlive the stages.
What can only hold plain values is left out of garbage collection (`gc=False`): no cycle can go
through it, and a worker makes some twenty of them per call.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.core.payload import Reply, Request, Usage


class Outcome(StrEnum):
    """How a call ended, from the caller's point of view."""

    ANSWERED = "answered"
    CACHED = "cached"
    STALE = "stale"
    FALLBACK = "fallback"
    UNCERTAIN = "uncertain"
    REFUSED = "refused"
    REJECTED = "rejected"
    FAILED = "failed"


class Surface(StrEnum):
    """The protocol a call came in by."""

    CHAT = "chat"
    PREDICT = "predict"
    INFER = "infer"


class Caller(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who calls: the key's public id, whose it is, and the services it may use (all if empty)."""

    key_id: str
    tenant: str
    services: frozenset[str] = frozenset()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asked for, and until when the answer is of use.

    Attributes:
        id: The request id, told to the caller.
        received: When it came in, monotonic seconds.
        received_at: The same on the wall clock, nanoseconds since 1970 UTC.
        deadline: Monotonic seconds after which nobody waits any more.
    """

    id: str
    service: str
    surface: Surface
    caller: Caller
    request: Request
    received: float
    received_at: int
    deadline: float


class Decision(StrEnum):
    """What a verdict amounts to."""

    ALLOW = "allow"
    MEND = "mend"
    REFUSE = "refuse"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a guard or a judge decided, and why. Never holds the text it is about."""

    by: str
    decision: Decision
    reason: str = ""
    side: str = ""


STAGES: Final = (
    *("admit", "validate", "screen", "recall", "route", "cascade"),
    *("degrade", "screen", "remember"),
)
"""What a call passes, in order: six towards its answer, three back to the caller."""
TOWARDS: Final = STAGES[:6]
BACK: Final = STAGES[6:]


class Note(msgspec.Struct, frozen=True, gc=False):
    """One line of an exchange's trail: which stage, what happened, and how long it took."""

    stage: str
    event: str
    detail: str = ""
    seconds: float | None = None


class Signal(StrEnum):
    """From which raw signal confidence is derived."""

    NONE = "none"
    PROBABILITY = "probability"
    LOGPROB = "logprob"


class Evidenced(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Raw confidence signals as the model gave them.

    Attributes:
        probabilities: Largest class probability of each row.
        logprobs: Natural-log probability of each generated token.
    """

    probabilities: tuple[float, ...] = ()
    logprobs: tuple[float, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What goes back, and how far it can be trusted.

    Attributes:
        target: The model that answered; `cache` or `lockgate` if none did.
        raw: What the judge looks at.
        confidence: Probability that the answer is right, None until judged or if it cannot be.
        cost: Pico-dollars of the attempt that made it.
    """

    reply: Reply
    target: str
    usage: Usage = Usage()
    raw: Evidenced = Evidenced()
    confidence: float | None = None
    cost: int = 0


class Attempt(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One try at one target: how long it took, what it cost, and how it ended.

    Attributes:
        result: `accepted`, `low_confidence`, `contract_broken`, or an error's code.
    """

    target: str
    result: str
    seconds: float
    cost: int = 0
    usage: Usage = Usage()
    confidence: float | None = None


class Leases:
    """What is held for a call; given back in reverse order once the answer has been sent."""

    __slots__ = ("_returns",)

    def __init__(self) -> None:
        self._returns: list[Callable[[], object]] = []

    @property
    def held(self) -> bool:
        """Whether the call holds anything, that is, whether it was admitted."""
        return bool(self._returns)

    def hold(self, give_back: Callable[[], object]) -> None:
        """Run *give_back* when the call is over, whatever happens to it."""
        self._returns.append(give_back)

    def release(self) -> None:
        """Give everything back; every return runs even if one of them raises."""
        while self._returns:
            give_back = self._returns.pop()
            try:
                give_back()
            except Exception:
                self.release()
                raise


class Tally:
    """What a stream came to, filled in while it is sent, read by `record`.

    Attributes:
        ended: `complete`, `broken` (upstream), `refused` (guard) or `abandoned` (caller left);
            empty while it runs or if there was no stream.
        code: Of the error that broke it.
        seconds: How long the attempt took that the stream came from; None without a stream.
        first_output: Monotonic seconds at which the first output was ready to be sent.
        recorded: The call has its line in the journal.
    """

    __slots__ = (
        "code",
        "confidence",
        "cost",
        "ended",
        "first_output",
        "recorded",
        "seconds",
        "usage",
        "verdicts",
    )

    def __init__(self) -> None:
        self.ended = ""
        self.code = ""
        self.seconds: float | None = None
        self.usage = Usage()
        self.cost = 0
        self.confidence: float | None = None
        self.first_output: float | None = None
        self.verdicts: tuple[Verdict, ...] = ()
        self.recorded = False


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A call on its way to an answer. Stages never change an exchange; they return the next one.

    Attributes:
        release: Digest of everything that changes answers; empty until routed.
        cache_key: Under which an answer would be kept; None if it must not be.
        plan: Names of the targets that may answer, best first.
        attempts: Every try at a target so far, also those that failed.
        unsure: The last answer that was not good enough, kept for protocols that must give numbers.
        failure: Why there is no answer yet; the ladder decides what becomes of it.
        trail: What the stages had to say.
        marks: For each line of the trail, at which of `STAGES` it was said.
        laps: Seconds that each of `STAGES` took, as far as the call came; -1 for one passed over.
    """

    call: Call
    release: str = ""
    cache_key: bytes | None = None
    plan: tuple[str, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    answer: Answer | None = None
    unsure: Answer | None = None
    outcome: Outcome | None = None
    rung: str = ""
    failure: LockgateError | None = None
    verdicts: tuple[Verdict, ...] = ()
    trail: tuple[Note, ...] = ()
    marks: tuple[int, ...] = ()
    laps: tuple[float, ...] = ()
    leases: Leases = msgspec.field(default_factory=Leases)
    tally: Tally = msgspec.field(default_factory=Tally)

    @property
    def cost(self) -> int:
        """Pico-dollars spent on this call, failed attempts included."""
        spent = self.tally.cost
        for attempt in self.attempts:
            spent += attempt.cost
        return spent

    def noted(self, stage: str, event: str, detail: str = "") -> Exchange:
        """Return this exchange with one more line on its trail."""
        return msgspec.structs.replace(self, trail=(*self.trail, Note(stage, event, detail)))
