"""The rules in compiled form: one pass says which of them can match at all.

RE2 runs in time linear in the text, whatever the text (https://github.com/google/re2/wiki/WhyRE2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, NamedTuple, cast

import re2

from lockgate.ai.guards.begin import begin
from lockgate.ai.guards.rule import Match, Rule

_MEMORY: Final = 64 << 20
"""Bytes that one automaton may grow to; unused memory is not taken."""


_TOGETHER: Final = 48
"""Rules whose beginnings are looked for in one go; with all 85 of `injection` it is too many."""


class Hits(NamedTuple):
    """What a first pass over a text says.

    Attributes:
        rules: The rules that may match.
        marks: The extra patterns that do match.
    """

    rules: tuple[Rule, ...]
    marks: frozenset[str]


NOTHING: Final = Hits((), frozenset())
"""Nothing can match."""


class Patterns:
    """Rules, and extra patterns (`marks`) that are only asked whether they occur."""

    def __init__(self, rules: Sequence[Rule], marks: Iterable[str] = ()) -> None:
        self._rules = tuple(rules)
        self._by_trigger: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_trigger.setdefault(_cased(rule.trigger, rule), []).append(rule)
        self._triggers = [*self._by_trigger, *marks]
        self._set = _compiled_set(self._triggers)
        self._order = {rule: place for place, rule in enumerate(rules)}
        self._regexes = {rule: _compiled(_cased(rule.pattern, rule)) for rule in rules}

    def hits(self, text: str) -> Hits:
        """Say which rules can match in *text*, and which marks do: for most texts, `NOTHING`."""
        indices: list[int] | None = self._set.Match(text.encode()) if self._triggers else None
        if not indices:
            return NOTHING
        fired = [self._triggers[index] for index in indices]
        rules = [rule for trigger in fired for rule in self._by_trigger.get(trigger, ())]
        rules.sort(key=self.order)
        return Hits(tuple(rules), frozenset(fired) - self._by_trigger.keys())

    def order(self, rule: Rule) -> int:
        """Give a rule's place: the first of two overlapping findings names the placeholder."""
        return self._order[rule]

    def matches(self, rule: Rule, text: str, start: int) -> Iterable[Match]:
        """Find every match of *rule* from *start* on; what precedes counts for word boundaries."""
        return cast("Iterable[Match]", self._regexes[rule].finditer(text, start))

    @cached_property
    def _tails(self) -> list[re2._Regexp]:
        """What an end of a text looks like that could be continued; made for the first stream.

        One for each guard, or more if it has many rules: put together, their automata would
        multiply, and RE2 goes without one, at twenty times the time, if it gets too large.
        """
        guards = dict.fromkeys(rule.guard for rule in self._rules)
        own = ([rule for rule in self._rules if rule.guard == name] for name in guards)
        return [_tail(part) for rules in own for part in _parts(rules)]

    def unfinished(self, text: str) -> int:
        """Measure the longest end of *text* that could be continued to a match, in characters."""
        encoded = text.encode()
        starts = [cast("Match", tail.search(encoded)).start() for tail in self._tails]
        start = min(starts, default=len(encoded))
        return len(encoded) - start if len(encoded) == len(text) else len(encoded[start:].decode())


def _parts(rules: Sequence[Rule]) -> Iterable[Sequence[Rule]]:
    return (rules[at : at + _TOGETHER] for at in range(0, len(rules), _TOGETHER))


def _tail(rules: Sequence[Rule]) -> re2._Regexp:
    begins = sorted({_cased(begin(rule.pattern), rule) for rule in rules})
    return _compiled(rf"(?:{'|'.join(begins)})\z")


def _cased(pattern: str, rule: Rule) -> str:
    return f"(?i:{pattern})" if rule.folds_case else f"(?:{pattern})"


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.longest_match = True  # "you|your" finds "your": what is found has no rest
    return options


def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern, _options())


def _compiled_set(patterns: Iterable[str]) -> re2.Set:
    searched = re2.Set.SearchSet(_options())
    for pattern in patterns:
        searched.Add(pattern)
    searched.Compile()
    return searched
