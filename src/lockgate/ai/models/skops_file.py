"""Loads scikit-learn estimators from skops files.

What a file may contain is decided by skops' own list and by the manifest, never by the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lockgate.ai.models.artefact import read_verified
from lockgate.core.errors import ManifestError


def load_estimator(path: Path, sha256: str | None, trust: Sequence[str]) -> Any:
    """Load the estimator in *path*: digest first, then the types, then the objects.

    Raises:
        ManifestError: scikit-learn or skops are not installed, the digest differs, the file holds
            types the manifest does not trust, or it is no skops file.
    """
    skops = _skops()
    content = read_verified(path, sha256)
    try:
        untrusted = set(skops.get_untrusted_types(data=content)) - set(trust)
        if not untrusted:
            return skops.loads(content, trusted=list(trust))
    except Exception as error:
        raised = f"{type(error).__name__}: {error}".splitlines()[0]
        finding = f"file: {path} cannot be loaded as a skops file: {raised}"
        raise ManifestError((finding,)) from error
    raise ManifestError((_untrusted(path, sorted(untrusted), trust),))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        finding = "scikit-learn models need an extra: pip install 'lockgate[sklearn]'"
        raise ManifestError((finding,)) from error
    return skops.io


def _untrusted(path: Path, found: Sequence[str], trust: Sequence[str]) -> str:
    line = ", ".join([*trust, *found])
    return (
        f"trust: {path} holds types that the manifest does not trust: {', '.join(found)}; "
        f"if you trust whoever made the file, set trust: [{line}]"
    )
