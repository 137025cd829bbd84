"""What needs two places of the manifest, or the disk beside it: references and dead rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from lockgate.manifest import references, rules
from lockgate.manifest.findings import Finding
from lockgate.manifest.form import Form
from lockgate.manifest.place import Node
from lockgate.manifest.remains import remains

_STORES = ("sqlite:", "postgresql:", "postgresql+")
_RESTS_ON: Mapping[str, frozenset[str]] = {
    "LG1110": frozenset({"kind"}),
    "LG1301": frozenset[str](),
    "LG1302": frozenset({"confidence", "contract", "ladder"}),
    "LG1303": frozenset({"confidence"}),
    "LG1304": frozenset({"contract"}),
    "LG1306": frozenset({"confidence", "targets", "ladder"}),
    "LG1307": frozenset({"cache"}),
}
"""The parts of a service that a rule can be wrong about if something was taken from them."""


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
    """Check the rules of all that could be understood; a part that could not says nothing."""
    left = remains(root, form)
    if left is None:
        return
    for name in left.manifest.services:
        node = left.tree.find("services", name)
        if node is None:
            continue
        lacking = left.lacking.get(name, frozenset())
        for finding in rules.dead(left.manifest, name, node):
            if not lacking & _RESTS_ON.get(finding.code, frozenset()):
                yield finding
