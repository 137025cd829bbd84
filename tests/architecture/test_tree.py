"""What may not be in the repository, whoever puts it there."""

import re
from pathlib import Path

import pytest

from scripts.tree import ROOT, tracked

_OF_A_MACHINE = re.compile(
    rb"(?<![\w./~])/(?:work|root|home/[a-z]\w*|Users/\w+|opt/(?:pypi|wheels))/|[A-Z]:\\Users\\"
)
_REGISTRY = re.compile(rb"(?:files\.)?python" rb"hosted\.org|pypi\." rb"org|registry\.npm" rb"js")
_LARGEST = 1_000_000
_NOT_TEXT = {".png", ".svg", ".skops", ".gz", ".onnx"}
_THIS = Path(__file__).resolve().relative_to(ROOT)
_TEXTS = [path for path in tracked() if path.suffix not in _NOT_TEXT and path != _THIS]


@pytest.mark.parametrize("pattern", [_OF_A_MACHINE, _REGISTRY], ids=["folder", "registry"])
def test_no_file_knows_the_machine_it_was_written_on(pattern: re.Pattern[bytes]) -> None:
    """Nothing names a folder of one machine, or a package registry by its host."""
    assert len(_TEXTS) > 100
    assert [str(path) for path in _TEXTS if pattern.search((ROOT / path).read_bytes())] == []


def test_no_file_is_large() -> None:
    """A clone stays small: models and other large files come from packages."""
    sizes = {str(path): (ROOT / path).stat().st_size for path in tracked()}
    assert {path: size for path, size in sizes.items() if size > _LARGEST} == {}


def test_a_machine_s_folders_are_recognised() -> None:
    """The search finds what it is for, and leaves ordinary paths alone."""
    assert _OF_A_MACHINE.search(b"see /work/main/x")
    assert _OF_A_MACHINE.search(b"'/home/ada/notes'")
    assert not _OF_A_MACHINE.search(b"/v1/work/order ~/work/x tests/work/x")
