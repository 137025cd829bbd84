"""Model files are checked before their first byte is parsed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lockgate.core.errors import ManifestError


def sha256_of(path: Path) -> str:
    """Hash the file at *path*, a block at a time; 64 hexadecimal digits.

    Raises:
        ManifestError: There is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def verify(path: Path, expected: str | None) -> None:
    """Make sure that *path* is the file the manifest means; any readable one if *expected* is None.

    Raises:
        ManifestError: It cannot be read, or its digest is not *expected*.
    """
    if expected is None:
        _readable(path)
    else:
        _compare(path, sha256_of(path), expected)


def read_verified(path: Path, expected: str | None) -> bytes:
    """Read *path* whole and check the very bytes that are returned, so no swap can come between.

    Raises:
        ManifestError: It cannot be read, or its digest is not *expected*.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if expected is not None:
        _compare(path, hashlib.sha256(content).hexdigest(), expected)
    return content


def _readable(path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise _unreadable(path, error) from error


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        finding = (
            f"sha256: {path} is not the file the manifest means: its digest is {found}, not "
            f"{expected}; restore the file or, if the new one is meant, set sha256: {found}"
        )
        raise ManifestError((finding,))


def _unreadable(path: Path, error: OSError) -> ManifestError:
    return ManifestError((f"file: {path} cannot be read: {error.strerror or error}",))
