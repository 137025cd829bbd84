"""Digests of model files."""

import hashlib
from pathlib import Path

import pytest

from lockgate.ai.models.artefact import read_verified, sha256_of, verify
from lockgate.core.errors import ManifestError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with some bytes in it."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 100_000)
    return path


def test_the_digest_is_sha256(file: Path) -> None:
    """The streamed digest is that of the whole content."""
    assert sha256_of(file) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_right_file_passes(file: Path) -> None:
    """A file with the digest that the manifest names is accepted, and read as it is."""
    verify(file, sha256_of(file))
    verify(file, None)
    assert read_verified(file, sha256_of(file)) == file.read_bytes()
    assert read_verified(file, None) == file.read_bytes()


def test_another_file_is_refused_with_what_to_do(file: Path) -> None:
    """A wrong digest names both digests and the line that would accept the new file."""
    for check in (verify, read_verified):
        with pytest.raises(ManifestError, match=f"set sha256: {sha256_of(file)}"):
            check(file, "0" * 64)


def test_a_missing_file_is_a_fact(tmp_path: Path) -> None:
    """A file that cannot be read is named, with the reason."""
    for expected in (None, "0" * 64):
        with pytest.raises(ManifestError, match=r"absent\.bin cannot be read: No such file"):
            verify(tmp_path / "absent.bin", expected)
    with pytest.raises(ManifestError, match=r"absent\.bin cannot be read"):
        read_verified(tmp_path / "absent.bin", None)
    with pytest.raises(ManifestError, match="cannot be read"):
        sha256_of(tmp_path)
