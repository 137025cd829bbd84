"""Take out characters that cannot be seen but can be read by a model, or turn text around.

Kept is what writing needs: joiners in Arabic, Indic and other joining scripts and in emoji
families, variation selectors after what they vary, the flags of England, Scotland and Wales,
direction marks near right-to-left letters, closed isolates and embeddings around them, line-break
spaces of scripts without spaces, and hyphenation points between syllables.

Whether a character stays depends on at most `REACH` characters on either side, so a stream decides
as the whole text does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from lockgate.ai.guards import unseen

REACH: Final = 256
"""Characters on either side that a decision may depend on."""

_NEAR: Final = 32
_FLAGS: Final = tuple(
    "\U0001f3f4" + "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f"
    for region in ("gbeng", "gbsct", "gbwls")
)
_FLAG: Final = "\U0001f3f4"
_EMBEDDINGS: Final = frozenset("\u202a\u202b\u202d\u202e")
_ISOLATES: Final = frozenset("\u2066\u2067\u2068")
_CLOSERS: Final = frozenset("\u202c\u2069")
_LINE_END: Final = re.compile("[\r\n\x85\u2028\u2029]")
_HIDDEN: Final = re.compile(unseen.CLASS)
_NESTING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARKS: Final = frozenset("\u200e\u200f\u061c")
_SELECTABLE: Final = frozenset("0123456789#*")


class Stripped(NamedTuple):
    """A text without what was taken out.

    Attributes:
        removed: Positions in the given text, ascending.
        settled: Up to here nothing that follows changes the result.
    """

    text: str
    removed: tuple[int, ...]
    settled: int


def strip(text: str, *, start: int = 0, final: bool = True) -> Stripped:
    """Take hidden characters out of *text* from *start* on.

    Args:
        text: What to strip, after up to `REACH` characters that came before.
        start: Where the part to strip begins; only that part is returned.
        final: Nothing follows. Otherwise what depends on more text is left unsettled.
    """
    if _HIDDEN.search(text, start) is None:
        return Stripped(text[start:], (), len(text))
    view = _View(text, start, final)
    removed: list[int] = []
    settled = len(text)
    for at, keep in _decisions(view):
        if keep is None:
            settled = at
            break
        if not keep:
            removed.append(at)
    edges = [start - 1, *removed, settled]
    pieces = (text[a + 1 : b] for a, b in pairwise(edges))
    return Stripped("".join(pieces), tuple(removed), settled)


@dataclass(frozen=True, slots=True)
class _View:
    """A text around a position; beyond its ends is the empty string."""

    text: str
    start: int
    final: bool

    def __getitem__(self, at: int) -> str:
        return self.text[at] if 0 <= at < len(self.text) else ""

    def open_at(self, at: int) -> bool:
        """Say whether what comes at *at* is not known yet."""
        return at >= len(self.text) and not self.final


def _decisions(view: _View) -> Iterator[tuple[int, bool | None]]:
    """Say of each hidden character whether it stays; None if more text is needed."""
    unit_end, unit_stays = view.start, False
    for found in _HIDDEN.finditer(view.text, view.start):
        at = found.start()
        character = view.text[at]
        if character in _EMBEDDINGS or character in _ISOLATES:
            unit = (unit_end, unit_stays) if at < unit_end else _unit(view, at)
            if unit is None:
                yield at, None
                return
            unit_end, unit_stays = unit
            yield at, unit_stays
        elif character in _CLOSERS:
            yield at, at < unit_end and unit_stays
        else:
            yield at, _judge(character)(view, at)


def _unit(view: _View, opened: int) -> tuple[int, bool] | None:
    """Follow nested embeddings and isolates to their close; give the end and whether they stay.

    They stay if everything is closed in order, on one line, within `REACH` characters, around at
    least one right-to-left letter (cf. CVE-2021-42574, Trojan Source).
    """
    line = _LINE_END.search(view.text, opened, opened + REACH)
    limit = line.start() if line else min(len(view.text), opened + REACH)
    waiting: list[bool] = []
    for found in _NESTING.finditer(view.text, opened, limit):
        character = found.group()
        if character in _CLOSERS:
            if waiting.pop() is not (character == "\u2069"):
                return found.end(), False
        else:
            waiting.append(character in _ISOLATES)
        if not waiting:
            inside = view.text[opened : found.end()]
            return found.end(), any(map(unseen.is_rtl, inside))
    return None if view.open_at(limit) else (limit, False)


def _joiner(view: _View, at: int) -> bool | None:
    if unseen.joins(view[at - 1]):
        return True
    if view.open_at(at + 1):
        return None
    after = view[at + 1]
    if unseen.joins(after):
        return True
    left = view[at - 2] if view[at - 1] == "\ufe0f" else view[at - 1]
    return view[at] == "\u200d" and unseen.is_emoji(left) and unseen.is_emoji(after)


def _mark(view: _View, at: int) -> bool | None:
    if view[at - 1] in unseen.HIDDEN:  # several in a row say nothing more, but can be counted
        return False
    if any(map(unseen.is_rtl, view.text[max(0, at - _NEAR) : at + _NEAR + 1])):
        return True
    return None if view.open_at(at + _NEAR) else False


def _tag(view: _View, at: int) -> bool | None:
    """Keep the tags of the three flags that Unicode recommends (UTS 51, ED-14a)."""
    flag = view.text.rfind(_FLAG, max(0, at - len(_FLAGS[0])), at)
    if flag < 0:
        return False
    shown = view.text[flag : flag + len(_FLAGS[0])]
    if shown in _FLAGS:
        return at < flag + len(shown)
    unfinished = not view.final and any(whole.startswith(shown) for whole in _FLAGS)
    return None if unfinished else False


def _emoji_selector(view: _View, at: int) -> bool:
    left = view[at - 1]
    return unseen.is_emoji(left) or left in _SELECTABLE or (left != "" and unseen.varies(left))


def _selector(view: _View, at: int) -> bool:
    return view[at - 1] != "" and unseen.varies(view[at - 1])


def _ideographic_selector(view: _View, at: int) -> bool:
    return unseen.is_ideograph(view[at - 1])


def _break(view: _View, at: int) -> bool:
    return unseen.is_spaceless(view[at - 1])


def _hyphen(view: _View, at: int) -> bool | None:
    if not (view[at - 1].isalpha() and view[at - 2].isalpha()):
        return False
    return None if view.open_at(at + 1) else view[at + 1].isalpha()


def _jamo(view: _View, at: int) -> bool | None:
    if "\u1100" <= view[at - 1] <= "\u115e":
        return True
    return None if view.open_at(at + 1) else "\u1161" <= view[at + 1] <= "\u11ff"


def _byte_order_mark(_view: _View, at: int) -> bool:
    return at == 0


def _nowhere(_view: _View, _at: int) -> bool:
    return False


_Judge = Callable[[_View, int], "bool | None"]
_JUDGES: Final[dict[str, _Judge]] = {
    "\u200c": _joiner, "\u200d": _joiner, "\u200b": _break, "\xad": _hyphen,
    "\u115f": _jamo, "\u1160": _jamo, "\ufeff": _byte_order_mark,
    "\ufe0e": _emoji_selector, "\ufe0f": _emoji_selector,
    **dict.fromkeys(_MARKS, _mark),
}  # fmt: skip


def _judge(character: str) -> _Judge:
    if character in _JUDGES:
        return _JUDGES[character]
    if "\ufe00" <= character <= "\ufe0d" or "\u180b" <= character <= "\u180f":
        return _selector
    if character >= "\U000e0100":
        return _ideographic_selector
    return _tag if character >= "\U000e0000" else _nowhere
