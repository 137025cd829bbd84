"""Screen a text with every named guard at once.

Most texts pass after one linear pass that says no rule can match. Otherwise hidden characters go
first, so that nothing hides behind them; then the rules that may match look for exact spans, their
checks decide, and each finding is replaced by a placeholder or refuses the text.

Fails closed: whatever goes wrong in here is a refusal.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from lockgate.ai.guards import injection, pii, secrets, unseen
from lockgate.ai.guards.canonical import DISGUISED, Canonical, canonical, is_disguised_word
from lockgate.ai.guards.invisible import strip
from lockgate.ai.guards.patterns import NOTHING, Hits, Patterns
from lockgate.ai.guards.rule import Action, GuardName, Rule, Span
from lockgate.core.exchange import Decision, Verdict
from lockgate.core.ports import Screened

DEFAULT_ACTION: Final[Mapping[GuardName, Action]] = {
    "injection": "refuse",
    "secrets": "mend",
    "pii": "mend",
    "invisible": "mend",
}
RULES: Final[Mapping[str, Callable[[], tuple[Rule, ...]]]] = {
    "injection": injection.rules,
    "secrets": secrets.rules,
    "pii": pii.rules,
    "invisible": tuple,
}
_ROUNDS: Final = 16
"""How often a text is looked at again because a finding taken out uncovered another."""


_TANGLED: Final = Verdict(
    by="guard.tangled",
    decision=Decision.REFUSE,
    reason=f"taking findings out uncovered more, {_ROUNDS} times over",
)


class GuardSpec(msgspec.Struct, frozen=True):
    """A guard by name, and what it does with a finding (by default, `DEFAULT_ACTION`)."""

    name: GuardName
    action: Action | None = None


class Found(NamedTuple):
    """A match of a rule, and which parts of it are findings (perhaps none)."""

    rule: Rule
    start: int
    end: int
    spans: tuple[Span, ...]


class Settled(NamedTuple):
    """How far a text is settled, whatever follows.

    Attributes:
        text: The text; up to `cut` findings are taken out of it.
        cut: Where what may still change begins.
        verdicts: What was found up to there.
    """

    text: str
    cut: int
    verdicts: tuple[Verdict, ...]


def build(names: Sequence[GuardSpec]) -> Screen:
    """Combine guards into one.

    Raises:
        ValueError: A guard of this name does not exist.
    """
    for spec in names:
        if spec.name not in RULES:
            raise ValueError(f"no guard is called {spec.name!r}; there are {', '.join(RULES)}")
    actions = {spec.name: spec.action or DEFAULT_ACTION[spec.name] for spec in names}
    rules = [rule for name, part in RULES.items() if name in actions for rule in part()]
    return Screen(rules, {name: Decision(action) for name, action in actions.items()})


class Screen:
    """The combined guard; implements `lockgate.core.ports.Guard` and is safe to share."""

    def __init__(self, rules: Sequence[Rule], decisions: Mapping[str, Decision]) -> None:
        self._decisions = dict(decisions)
        self._strips = "invisible" in decisions
        self._sees_through = any(rule.canonical for rule in rules)
        marks = [unseen.PATTERN] * self._strips + [DISGUISED] * self._sees_through
        self._patterns = Patterns(rules, marks)

    def inspect(self, text: str) -> Screened:
        """Screen *text*; a `REFUSE` among the verdicts means the text must not pass."""
        try:
            hits = self._patterns.hits(text)
            if hits is NOTHING:
                return Screened(text)
            stripped = self.stripped(text)
            settled = self.settled(stripped.text, hits=None if stripped.verdicts else hits)
        except Exception as error:  # noqa: BLE001 — a guard that cannot look must not let pass
            return failed(error)
        return Screened(settled.text, stripped.verdicts + settled.verdicts)

    def hold(self, text: str) -> int:
        """Count the characters at the end of *text* that could be the start of a finding.

        All of them if the text cannot be read.
        """
        try:
            stripped = strip(text, final=False) if self._strips else None
            clean = stripped.text if stripped else text
            cut = self._cut(clean, 0, self._find(clean, 0))
        except Exception:  # noqa: BLE001 — holding everything is what failing closed means here
            return len(text)
        for at in stripped.removed if stripped else ():
            cut += at <= cut
        return len(text) - cut

    def stripped(self, text: str, start: int = 0, *, final: bool = True) -> Settled:
        """Take hidden characters out of *text* from *start* on; only what is settled is returned.

        `cut` counts characters of the given text.
        """
        if not self._strips or text.isascii():
            return Settled(text[start:], len(text), ())
        result = strip(text, start=start, final=final)
        count = len(result.removed)
        verdicts = (self._verdict("invisible.character", count),) if count else ()
        return Settled(result.text, result.settled, verdicts)

    def settled(
        self, text: str, start: int = 0, *, final: bool = True, hits: Hits | None = None
    ) -> Settled:
        """Take findings out of *text* from *start* on, as far as nothing that follows matters.

        *hits* are those of the text from *start* on, if they are known already.
        """
        verdicts: tuple[Verdict, ...] = ()
        for _ in range(_ROUNDS):
            found = self._find(text, start, hits)
            cut = len(text) if final else self._cut(text, start, found)
            screened = self._mended(text, start, cut, found)
            if not screened.verdicts:
                return Settled(text, cut, verdicts)
            hits = None
            verdicts += screened.verdicts
            text = text[:start] + screened.text + text[cut:]
        return Settled(text, start, (*verdicts, _TANGLED))

    def _find(self, text: str, start: int, hits: Hits | None = None) -> list[Found]:
        """Find every match from *start* on, also those that their checks find harmless."""
        hits = hits or self._patterns.hits(text[start:])
        found = [f for rule in hits.rules for f in self._look(rule, text, start)]
        if DISGUISED in hits.marks:
            found.extend(self._look_behind(text, start, found))
        return found

    def _look(self, rule: Rule, text: str, start: int) -> Iterator[Found]:
        for match in self._patterns.matches(rule, text, start):
            spans = tuple(rule.check(text, match))
            yield Found(rule, match.start(), match.end(), spans)

    def _look_behind(self, text: str, start: int, plain: list[Found]) -> Iterator[Found]:
        """Find what only the canonical form shows."""
        form = canonical(text)
        known = {(f.rule, f.start) for f in plain}
        begin = bisect_left(form.origins, start)
        for rule in self._patterns.hits(form.text[begin:]).rules:
            if not rule.canonical:
                continue
            for f in self._look(rule, form.text, begin):
                told = _in_original(f, form)
                if (rule, told.start) not in known:
                    yield told

    def _cut(self, text: str, start: int, found: list[Found]) -> int:
        """Say up to where no finding can begin that more text would complete or change."""
        part = text[start:] if start else text
        cut = len(text) - self._patterns.unfinished(part)
        if self._sees_through and is_disguised_word(part):
            cut = min(cut, self._canonical_cut(text, start))
        for f in sorted(found, key=_start, reverse=True):
            if f.start < cut < f.end + f.rule.ahead:
                cut = f.start
        return max(cut, start)

    def _canonical_cut(self, text: str, start: int) -> int:
        form = canonical(text, open_end=True)
        begin = bisect_left(form.origins, start)
        held = self._patterns.unfinished(form.text[begin:])
        return form.origins[len(form.text) - held]

    def _mended(self, text: str, start: int, cut: int, found: Iterable[Found]) -> Screened:
        """Replace the findings before *cut* by placeholders."""
        marked = [
            (span.start, self._patterns.order(f.rule), span.end, f.rule)
            for f in found
            for span in f.spans
            if f.end <= cut
        ]
        if not marked:
            return Screened(text[start:cut])
        counts: Counter[str] = Counter()
        pieces: list[str] = []
        at = start
        for begins, _, ends, rule in sorted(marked, key=_place):
            if ends <= at and begins < at:
                continue
            if begins >= at:
                pieces += [text[at:begins], rule.placeholder]
                counts[rule.name] += 1
            at = ends
        pieces.append(text[at:cut])
        verdicts = tuple(self._verdict(name, count) for name, count in counts.items())
        return Screened("".join(pieces), verdicts)

    def _verdict(self, rule: str, count: int) -> Verdict:
        decision = self._decisions[rule.partition(".")[0]]
        return Verdict(by=rule, decision=decision, reason=f"{count} found")


def failed(error: Exception) -> Screened:
    """Refuse a text that could not be screened; tell the kind of error, never the text."""
    reason = f"the text could not be screened ({type(error).__name__})"
    return Screened("", (Verdict(by="guard.failed", decision=Decision.REFUSE, reason=reason),))


def _in_original(f: Found, form: Canonical) -> Found:
    spans = tuple(_span_in_original(span, form) for span in f.spans)
    start, end = _span_in_original(Span(f.start, f.end), form)
    return Found(f.rule, start, end, spans)


def _span_in_original(span: Span, form: Canonical) -> Span:
    return Span(form.origins[span.start], form.origins[span.end - 1] + 1)


def _start(f: Found) -> int:
    return f.start


def _place(marked: tuple[int, int, int, Rule]) -> tuple[int, int]:
    return marked[0], marked[1]
