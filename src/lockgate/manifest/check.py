"""What needs two places of the manifest, or the disk beside it: references and dead rules."""

from __future__ import annotations

from pathlib import Path

from lockgate.manifest.findings import Finding
from lockgate.manifest.form import Form
from lockgate.manifest.place import Node


def cross_check(root: Node, form: Form, folder: Path) -> tuple[Finding, ...]:
    """Find what does not fit together below *root*; relative paths start from *folder*."""
    return ()
