"""Hold what the callers were told against the ledger, and against the models themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from lockgate.core.money import pico
from lockgate.demo.project import FLOOR
from lockgate.demo.traffic import Told

RIGHT_TARGETS: Mapping[str, frozenset[str]] = {
    "answered": frozenset({"small", "screening"}),
    "cached": frozenset({"small"}),
    "stale": frozenset({"small"}),
    "fallback": frozenset({"handbook", "keywords"}),
    "uncertain": frozenset({"lockgate"}),
    "failed": frozenset({"", "small"}),
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger says of one call; *cost* in pico-dollars."""

    id: str
    outcome: str
    target: str
    cost: int


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What did not hold, one line each; the demo fails if there is any."""

    lost: tuple[str, ...]
    mislabelled: tuple[str, ...]
    unrecorded: tuple[str, ...]

    @property
    def fine(self) -> bool:
        """Nothing was lost, mislabelled or unrecorded."""
        return not (self.lost or self.mislabelled or self.unrecorded)


def verify(told: Iterable[Told], ledger: Mapping[str, Line]) -> Findings:
    """Find every call that was lost, mislabelled or not recorded exactly as it was told."""
    calls = tuple(told)
    twice = [name for name, n in Counter(c.request_id for c in calls).items() if name and n > 1]
    lost = [f"{call.service}: {call.trouble}" for call in calls if call.trouble]
    lost += [f"{name}: two calls had the same request id" for name in twice]
    complete = [call for call in calls if not call.trouble]
    return Findings(
        lost=tuple(lost),
        mislabelled=tuple(fault for call in complete for fault in _label_faults(call, ledger)),
        unrecorded=tuple(
            f"{call.service} {call.request_id}"
            for call in complete
            if call.request_id not in ledger
        ),
    )


def _label_faults(call: Told, ledger: Mapping[str, Line]) -> Iterable[str]:
    name = f"{call.service} {call.request_id}"
    line = ledger.get(call.request_id)
    if line is not None:
        if line.outcome != call.outcome:
            yield f"{name}: told '{call.outcome}', recorded '{line.outcome}'"
        if call.cost and pico(Decimal(call.cost)) != line.cost:
            yield f"{name}: told {call.cost} USD, recorded {line.cost} pico-dollars"
        if line.target not in RIGHT_TARGETS.get(call.outcome, frozenset()):
            yield f"{name}: '{call.outcome}' by '{line.target}'"
    if call.expected is not None and call.status == 200:
        yield from _wrong_numbers(name, call)


def _wrong_numbers(name: str, call: Told) -> Iterable[str]:
    """Hold an answer of `screening` against the same model in this process."""
    assert call.expected is not None
    wanted = "answered" if call.expected.sure >= FLOOR else "uncertain"
    if call.outcome != wanted:
        yield f"{name}: '{call.outcome}' at a probability of {call.expected.sure:.3f}"
    label = call.answer.get("label") if isinstance(call.answer, dict) else None
    if label != (call.expected.label if wanted == "answered" else None):
        yield f"{name}: label {label!r}, the model says {call.expected.label!r}"
