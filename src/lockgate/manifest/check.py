"""What needs two places of the manifest, or the disk beside it: references and dead rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lockgate.manifest import references, rules
from lockgate.manifest.findings import Finding
from lockgate.manifest.form import Form, validate
from lockgate.manifest.place import Node, Trace
from lockgate.manifest.schema import Manifest

_STORES = ("sqlite:", "postgresql:", "postgresql+")


def cross_check(root: Node, form: Form, folder: Path, *, deep: bool = False) -> tuple[Finding, ...]:
    """Find what does not fit together below *root*; relative paths start from *folder*."""
    return (
        *_store(root),
        *references.names(root),
        *references.repeats(root),
        *references.files(root, folder),
        *(references.digests(root, folder) if deep else ()),
        *_dead_rules(root, form),
    )


def _store(root: Node) -> Iterator[Finding]:
    store = root.part("store")
    if store is None or store.text is None or store.text.startswith(_STORES):
        return
    message = "`store` is not the URL of a database that is known here"
    advice = "write `sqlite:///FILE` or `postgresql://HOST/NAME`"
    yield Finding("LG1016", store.at, message, advice)


def _dead_rules(root: Node, form: Form) -> Iterator[Finding]:
    """Check the rules of every service whose form could be understood."""
    manifest = form.manifest or _understood(root, form)
    if manifest is None:
        return
    for name in manifest.services:
        node = root.find("services", name)
        if node is not None:
            yield from rules.dead(manifest, name, node)


def _understood(root: Node, form: Form) -> Manifest | None:
    """Give what is left of a manifest without the sections that could not be understood."""
    pruned = root
    for trace in form.surplus:
        pruned = _without(pruned, trace)
    for trace in form.unclear:
        pruned = _without(pruned, trace[: 2 if trace[:1] in (("models",), ("services",)) else 1])
    version = Node(1, root.at)
    return validate(Node({**pruned.entries, "version": version}, root.at)).manifest


def _without(node: Node, trace: Trace) -> Node:
    """Give the tree without the value at *trace*."""
    if not trace or node.part(trace[0]) is None:
        return node
    first, rest = trace[0], trace[1:]
    parts: Any = dict(node.entries) if isinstance(first, str) else dict(enumerate(node.items))
    if rest:
        parts[first] = _without(parts[first], rest)
    else:
        del parts[first]
    return Node(parts if isinstance(first, str) else list(parts.values()), node.at, node.key)
