"""Where things stand in the manifest's text: a tree of values that know their places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Scalar = None | bool | int | float | str
Trace = tuple[str | int, ...]
"""The way from the root to a value: keys and indices."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of text.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last.
        line: Line of its first character, from 1.
        column: Column of its first character, from 1.
    """

    start: int
    end: int
    line: int
    column: int


TOP = Span(0, 0, 1, 1)


@dataclass(frozen=True, slots=True)
class Node:
    """A value, where it stands, and where its key stands if it has one."""

    value: Scalar | Mapping[str, Node] | Sequence[Node]
    at: Span
    key: Span | None = None

    @property
    def entries(self) -> Mapping[str, Node]:
        """The entries of a mapping; none for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> Sequence[Node]:
        """The items of a list; none for anything else."""
        if isinstance(self.value, str) or not isinstance(self.value, Sequence):
            return ()
        return self.value

    @property
    def text(self) -> str | None:
        """The value if it is text."""
        return self.value if isinstance(self.value, str) else None

    @property
    def spot(self) -> Span:
        """What to point at: the value if it is short, the key of a whole section."""
        if self.key is not None and (self.entries or self.items or self.value is None):
            return self.key
        return self.at

    @property
    def name(self) -> Span:
        """The key if there is one, else the value."""
        return self.key or self.at

    def part(self, step: str | int) -> Node | None:
        """Give the entry or item at *step*, if there is one."""
        if isinstance(step, str):
            return self.entries.get(step)
        return self.items[step] if 0 <= step < len(self.items) else None

    def find(self, *trace: str | int) -> Node | None:
        """Give the value at *trace*, if there is one."""
        node: Node | None = self
        for step in trace:
            node = node.part(step) if node is not None else None
        return node

    def nearest(self, trace: Trace) -> Node:
        """Give the value at *trace*, or the deepest one on the way to it."""
        node = self
        for step in trace:
            part = node.part(step)
            if part is None:
                return node
            node = part
        return node

    def walk(self, trace: Trace = ()) -> Iterator[tuple[Trace, Node]]:
        """Give every value below this one, itself first, each with its trace."""
        yield trace, self
        for key, part in self.entries.items():
            yield from part.walk((*trace, key))
        for index, part in enumerate(self.items):
            yield from part.walk((*trace, index))


def plain(node: Node) -> object:
    """Give the value without places: dicts, lists and scalars."""
    if isinstance(node.value, Mapping):
        return {key: plain(part) for key, part in node.value.items()}
    if isinstance(node.value, Sequence) and not isinstance(node.value, str):
        return [plain(part) for part in node.value]
    return node.value


def overlaid(base: Node, over: Node) -> Node:
    """Merge *over* over *base*: mappings entry by entry, anything else as a whole.

    A mapping of another `kind`, and a reference to a secret, is another thing altogether: it
    replaces what was there.
    """
    if not base.entries or not over.entries or _is_another(base, over):
        return over
    merged = dict(base.entries)
    for key, part in over.entries.items():
        merged[key] = overlaid(merged[key], part) if key in merged else part
    return Node(merged, base.at, base.key)


def _is_another(base: Node, over: Node) -> bool:
    kinds = base.part("kind"), over.part("kind")
    if kinds[0] is not None and kinds[1] is not None and kinds[0].value != kinds[1].value:
        return True
    return set(over.entries) in ({"env"}, {"file"}) and set(base.entries) in ({"env"}, {"file"})
