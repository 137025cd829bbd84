r"""Work out the language of beginnings of a pattern, so that a stream knows what to hold back.

`begin("ab[0-9]{2}")` is a pattern that matches every text that can be continued to a match of
`ab[0-9]{2}`, the empty text and full matches included. Searched for as `(?:…)\z` it gives the
longest end of a text that may still become a finding. It may match a little more than that: upper
bounds on large groups are dropped, and large ones on classes unless they are negated or begin the
pattern. That keeps the automaton small.

Understood is the part of RE2's syntax that the rules use: literals, classes, `.`, escapes,
`\p{…}`, groups, `|`, and the quantifiers `?`, `*`, `+`, `{m}`, `{m,}`, `{m,n}`.
"""

from __future__ import annotations

from typing import NamedTuple

_QUANTIFIERS = "?*+{"
_COUNTED = 16
"""Largest upper bound that is kept: each step counted is a state, times those of other rules."""
_SMALL = 48
"""Length of a group's pattern up to which its bound is kept."""


class _Part(NamedTuple):
    """A piece of a pattern (or of one that matches more), and the pattern of its beginnings."""

    full: str
    begin: str


def begin(pattern: str) -> str:
    r"""Derive the pattern of every beginning of *pattern*.

    `\b` is dropped: what precedes is not known to matter yet, and holding too much is safe.

    Raises:
        ValueError: The pattern uses syntax that is not understood.
    """
    reader = _Reader(pattern.replace(r"\b", ""))
    part = reader.alternatives()
    if reader.rest:
        raise ValueError(f"cannot derive beginnings of {pattern!r}: stuck at {reader.rest!r}")
    return part.begin


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    @property
    def rest(self) -> str:
        """What has not been read yet."""
        return self._pattern[self._at :]

    def alternatives(self) -> _Part:
        """Read alternatives up to a closing bracket or the end."""
        parts = [self._sequence()]
        while self.rest.startswith("|"):
            self._at += 1
            parts.append(self._sequence())
        return _Part(_either([part.full for part in parts]), _either([p.begin for p in parts]))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self._quantified())
        full = "".join(part.full for part in parts)
        begins = ""
        for part in reversed(parts):
            begins = f"(?:{part.begin}|{part.full}{begins})" if begins else part.begin
        return _Part(full, begins)

    def _quantified(self) -> _Part:
        first = self._at == 0
        atom = self._atom()
        if not self.rest or self.rest[0] not in _QUANTIFIERS:
            return atom
        quantifier = self._quantifier()
        self._at += self.rest.startswith("?")  # lazy or not makes no difference to what can follow
        return _repeated(atom, quantifier, exact=first)

    def _quantifier(self) -> str:
        end = self._pattern.index("}", self._at) if self.rest[0] == "{" else self._at
        quantifier = self._pattern[self._at : end + 1]
        self._at = end + 1
        return quantifier

    def _atom(self) -> _Part:
        if self.rest[0] == "(":
            return self._group()
        size = _atom_size(self.rest)
        atom = self.rest[:size]
        self._at += size
        return _Part(atom, f"{atom}?")

    def _group(self) -> _Part:
        self._at += 3 if self.rest.startswith("(?:") else 1
        inner = self.alternatives()
        if not self.rest.startswith(")"):
            raise ValueError(f"a group is not closed in {self._pattern!r}")
        self._at += 1
        return _Part(f"(?:{inner.full})", f"(?:{inner.begin})")


def _either(patterns: list[str]) -> str:
    return patterns[0] if len(patterns) == 1 else f"(?:{'|'.join(patterns)})"


def _repeated(atom: _Part, quantifier: str, *, exact: bool) -> _Part:
    """Put an atom under a quantifier; large upper bounds are kept only where *exact*."""
    if quantifier == "?":
        return _Part(f"{atom.full}?", atom.begin)
    least, comma, most = quantifier.strip("{}").partition(",")
    most = most or ("" if comma else least)
    single = atom.begin == f"{atom.full}?"
    exact = exact or atom.full.startswith("[^")  # else one word could hold the rest of its line
    if single and most.isdecimal() and (exact or int(most) <= _COUNTED):
        return _Part(f"{atom.full}{quantifier}", f"{atom.full}{{0,{most}}}")
    if most.isdecimal() and len(atom.full) <= _SMALL:
        return _Part(
            f"{atom.full}{quantifier}", f"(?:{atom.full}{{0,{int(most) - 1}}}{atom.begin})"
        )
    unbounded = "*" if least in {"0", "*"} else "+"
    return _Part(f"{atom.full}{unbounded}", f"(?:{atom.full}*{atom.begin})")


def _atom_size(text: str) -> int:
    """Measure the literal, escape or class that *text* begins with."""
    if text[0] == "\\":
        braced = text[1] in "pPx" and text[2:3] == "{"
        return text.index("}") + 1 if braced else 3 if text[1] in "pP" else 2
    if text[0] != "[":
        return 1
    at = 2 if text[1] == "^" else 1
    at += text[at] == "]"
    while text[at] != "]":
        at += _atom_size(text[at:]) if text[at] == "\\" else 1
    return at + 1
