"""A whole request path made of fakes, to see a part at work in its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from lockgate.ai.confidence.signal import LogprobJudge, ProbabilityJudge
from lockgate.core.exchange import Signal
from lockgate.core.money import Price
from lockgate.core.payload import Json
from lockgate.core.ports import Backend, Contract, Guard, Screened
from lockgate.request.admit import Admit
from lockgate.request.cache import Answers, Recall, Remember
from lockgate.request.call import Caller, Target, Terms
from lockgate.request.cascade import Cascade
from lockgate.request.degrade import CacheRung, Degrade, Rung, TargetRung, UncertainRung
from lockgate.request.judge import Bar
from lockgate.request.path import Path
from lockgate.request.places import Places
from lockgate.request.record import Record
from lockgate.request.route import Route
from lockgate.request.screen import ScreenIn, ScreenOut
from lockgate.request.validate import Validate
from lockgate.testing.fakes import FakeClock, FakeGuard, FakeRecorder

ALL = frozenset({"error", "timeout", "overload", "low_confidence", "contract"})


class HoldBack:
    """A stream screener on a fake guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._held = ""

    def feed(self, text: str) -> Screened:
        """Send all but what the guard holds."""
        screened = self._guard.inspect(self._held + text)
        keep = len(screened.text) - self._guard.hold(screened.text)
        self._held = screened.text[keep:]
        return Screened(screened.text[:keep], screened.verdicts)

    def flush(self) -> Screened:
        """Send the rest."""
        rest, self._held = self._held, ""
        return Screened(rest)


@dataclass
class Bench:
    """Everything a path is made of, changeable before `path()` is called."""

    targets: dict[str, Backend]
    plan: tuple[str, ...] = ()
    ladder: tuple[str, ...] = ()
    says: Json = "I am not certain."
    signal: Signal = Signal.NONE
    floor: float = 0.0
    contract_in: Contract | None = None
    contract_out: Contract | None = None
    guard: FakeGuard | None = None
    fresh: float | None = None
    limit: int = 8
    queue: int = 8
    price: Price = field(default_factory=lambda: Price(input_token=2, output_token=3))
    clock: FakeClock = field(default_factory=FakeClock)
    recorder: FakeRecorder = field(default_factory=FakeRecorder)

    def path(self) -> Path:
        """Build it."""
        answers = None if self.fresh is None else Answers(100, self.clock)
        judge = LogprobJudge() if self.signal is Signal.LOGPROB else ProbabilityJudge()
        terms = Terms(
            contract=self.contract_out,
            signal=self.signal,
            bar=Bar(None if self.signal is Signal.NONE else judge, self.floor),
        )
        targets = {
            name: Target(name=name, backend=backend, price=self.price, first_token=5.0, total=5.0)
            for name, backend in self.targets.items()
        }
        caller = Caller(targets, terms, self.clock)
        self.places = Places("assistant", limit=self.limit, queue=self.queue)
        rungs = tuple(self._rung(word, caller, answers) for word in self.ladder)
        overload = any("overload" in rung.on for rung in rungs)
        guard = self.guard
        record = Record((self.recorder,), self.clock)
        return Path(
            towards=(
                Admit(self.places, record, degrades_on_overload=overload),
                Validate(self.contract_in),
                ScreenIn(guard, None),
                Recall(answers, self.fresh or 0.0, "r1"),
                Route("r1", self.plan or tuple(self.targets)),
                Cascade(caller, self.clock),
            ),
            back=(
                Degrade(rungs),
                ScreenOut(guard, lambda: HoldBack(guard or FakeGuard("\0"))),
                Remember(answers),
            ),
            record=record,
            clock=self.clock,
        )

    def _rung(self, word: str, caller: Caller, answers: Answers | None) -> Rung:
        if word == "uncertain":
            return UncertainRung(self.says, ALL)
        if word == "cache":
            assert answers is not None
            return CacheRung(3600.0, ALL, answers)
        return TargetRung(word, ALL, caller)
