"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

GuardName = Literal["injection", "secrets", "pii", "invisible"]
Action = Literal["mend", "refuse"]

CONTEXT = 256
"""Characters before a finding that a rule's check may look at."""


class Match(Protocol):
    """What is used of `re2`'s match objects; positions count characters."""

    def start(self, group: int = 0) -> int:
        """Give where a group begins."""
        ...

    def end(self, group: int = 0) -> int:
        """Give where a group ends."""
        ...

    def group(self, group: int = 0) -> str | None:
        """Give a group's text, None if it took no part."""
        ...


class Span(NamedTuple):
    """Where in a text something was found."""

    start: int
    end: int


Check = Callable[[str, Match], Iterable[Span]]
"""Says which parts of a match are really what the rule looks for; none if it is harmless.

It sees the whole text, but may look only `CONTEXT` characters back and the rule's `ahead`
characters on: a stream does not have more."""


def whole(_text: str, match: Match) -> tuple[Span, ...]:
    """Take the whole match as it is."""
    return (Span(match.start(), match.end()),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that is looked for.

    Attributes:
        name: `guard.what`, as verdicts tell it.
        trigger: A pattern that every match of `pattern` contains a match of; all triggers are
            searched for in one pass, so it should be short and rarely match.
        pattern: The pattern, in the syntax that `begin` understands.
        placeholder: What a finding is replaced by.
        check: What decides whether a match is a finding.
        ahead: Characters after a match that `check` looks at.
        folds_case: Upper and lower case mean the same.
        canonical: Also look at the canonical form of the text (see `canonical`).
    """

    name: str
    trigger: str
    pattern: str
    placeholder: str
    check: Check = whole
    ahead: int = 1
    folds_case: bool = False
    canonical: bool = False

    @property
    def guard(self) -> str:
        """The guard that this rule belongs to."""
        return self.name.partition(".")[0]
