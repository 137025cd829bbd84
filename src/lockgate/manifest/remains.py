"""What remains of a manifest without what could not be understood, so that the rest is checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lockgate.manifest.form import Form, validate
from lockgate.manifest.place import TOP, Node, Trace
from lockgate.manifest.schema import Manifest

_ROUNDS = 12
_UNCLEAR = "unclear-0"
_STAND_INS: Mapping[str, Node] = {
    "kind": Node("chat", TOP),
    "targets": Node([Node(_UNCLEAR, TOP)], TOP),
    "models": Node(
        {_UNCLEAR: Node({"kind": Node("function", TOP), "call": Node("a:b", TOP)}, TOP)}, TOP
    ),
}
"""What stands in for a part that is needed: nothing that is found out about it is ever said."""
_PARTS = ("confidence", "contract", "cache", "ladder", "targets", "kind")
"""Parts of a service that rules look at."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left.

    Attributes:
        tree: Values and places of `manifest`.
        lacking: By service, the parts of it from which something was taken away.
    """

    manifest: Manifest
    tree: Node
    lacking: Mapping[str, frozenset[str]]


def remains(root: Node, form: Form) -> Remains | None:
    """Take away what could not be understood, piece by piece; None if too little is left."""
    tree = Node({**root.entries, "version": Node(1, root.at)}, root.at)
    lacking: dict[str, set[str]] = {}
    form = form if form.manifest is not None else validate(tree)
    for _ in range(_ROUNDS):
        if form.manifest is not None:
            kept = {name: frozenset(parts) for name, parts in lacking.items()}
            return Remains(form.manifest, tree, kept)
        faults = (*form.surplus, *form.unclear)
        _note(faults, lacking)
        tree = _pruned(tree, faults)
        form = validate(tree)
    return None


def _note(faults: Iterable[Trace], lacking: dict[str, set[str]]) -> None:
    for trace in faults:
        if len(trace) > 2 and trace[0] == "services":
            part = str(trace[2])  # an unknown key may have been meant to be one of them
            meant = get_close_matches(part, _PARTS, 1, 0.6) or [part]
            lacking.setdefault(str(trace[1]), set()).add(meant[0])


def _pruned(tree: Node, faults: Iterable[Trace]) -> Node:
    """Give the tree without what is at *faults*; the last items of a list go first."""
    for trace in sorted({_place(tree, trace) for trace in faults}, reverse=True):
        tree = _changed(tree, trace)
    return tree


def _place(tree: Node, trace: Trace) -> Trace:
    """Give what to take away for a fault: a whole rung, or whatever lacks something it needs."""
    if _needed(trace):
        return trace
    if trace[:1] == ("services",) and trace[2:3] == ("ladder",):
        trace = trace[:4]
    while trace and tree.find(*trace) is None:
        trace = trace[:-1]
    return trace


def _needed(trace: Trace) -> bool:
    in_service = len(trace) == 3 and trace[0] == "services" and trace[2] in ("kind", "targets")
    return in_service or trace == ("models",)


def _changed(node: Node, trace: Trace, way: Trace = ()) -> Node:
    """Give the tree without the value at *trace*, or with one that stands in for it."""
    if not trace:
        return node
    first, rest, way = trace[0], trace[1:], (*way, trace[0])
    parts: Any = dict(node.entries) if isinstance(first, str) else dict(enumerate(node.items))
    if rest and first in parts:
        parts[first] = _changed(parts[first], rest, way)
    elif not rest and _needed(way):
        parts[first] = _STAND_INS[str(first)]
    else:
        parts.pop(first, None)
    return Node(parts if isinstance(first, str) else list(parts.values()), node.at, node.key)
