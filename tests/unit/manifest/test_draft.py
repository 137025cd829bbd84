"""Adding a model and its service to a manifest that people edit by hand."""

from __future__ import annotations

import pytest

from lockgate.core.errors import ManifestError
from lockgate.manifest.draft import NotAdded, Part, drafted, put
from lockgate.manifest.load import load
from tests.unit.manifest.conftest import Desk

PART = Part(
    "sorter",
    {"kind": "function", "call": "app:answer"},
    {"kind": "predict", "targets": ["sorter"]},
)
BY_HAND = """\
# Our desk.
version: 1
models:
  app: {kind: function, call: app:answer}  # the old one
services:
  desk:
    kind: chat     # talks
    targets: [app]
"""


def test_a_new_manifest(desk: Desk) -> None:
    """Where there is none, a whole one is written, and it is right."""
    put(desk.manifest, drafted(desk.manifest, PART, {}), {})
    assert list(load(desk.manifest, environ={}).manifest.services) == ["sorter"]


def test_comments_and_order_stay(desk: Desk) -> None:
    """What people wrote stays as they wrote it; the new part comes after."""
    desk.put("lockgate.yaml", BY_HAND)
    text = drafted(desk.manifest, PART, {})
    assert [line for line in BY_HAND.splitlines() if line not in text] == []
    put(desk.manifest, text, {})
    assert list(load(desk.manifest, environ={}).manifest.services) == ["desk", "sorter"]


def test_twice_is_once(desk: Desk) -> None:
    """Adding again replaces the model and keeps what was tuned in the service."""
    desk.put("lockgate.yaml", BY_HAND)
    put(desk.manifest, drafted(desk.manifest, PART, {}), {})
    tuned = desk.manifest.read_text().replace(
        "targets: [sorter]", "targets: [sorter], deadline: 2s"
    )
    desk.manifest.write_text(tuned)
    put(desk.manifest, drafted(desk.manifest, PART, {}), {})
    assert load(desk.manifest, environ={}).manifest.services["sorter"].deadline == 2


def test_what_belongs_to_others_is_not_touched(desk: Desk) -> None:
    """A name that is taken by something else is refused."""
    desk.put("lockgate.yaml", BY_HAND.replace("desk:", "sorter:"))
    with pytest.raises(NotAdded, match="asks other models"):
        drafted(desk.manifest, PART, {})
    other = BY_HAND.replace("{kind: function, call: app:answer}", "{kind: llama, file: app.py}")
    desk.put("lockgate.yaml", other.replace("app: {", "sorter: {").replace("[app]", "[sorter]"))
    with pytest.raises(NotAdded, match="of kind llama"):
        drafted(desk.manifest, PART, {})


def test_a_wrong_manifest_is_never_written(desk: Desk) -> None:
    """If the result would be wrong, the old file stays, and the error names it."""
    desk.put("lockgate.yaml", BY_HAND)
    with pytest.raises(ManifestError, match=r"lockgate\.yaml:1:1"):
        put(desk.manifest, "version: 1\n", {})
    assert desk.manifest.read_text() == BY_HAND
    assert sorted(path.name for path in desk.folder.iterdir()) == ["app.py", "lockgate.yaml"]
