"""The reference in the documentation is the one the code writes."""

from __future__ import annotations

from pathlib import Path

from lockgate.manifest.editor import sections
from lockgate.manifest.reference import TITLES, reference
from lockgate.manifest.schema import Manifest
from lockgate.manifest.shape import fields

DOCS = Path(__file__).parents[3] / "docs" / "manifest.md"


def test_the_reference_is_fresh() -> None:
    """`docs/manifest.md` is what `python -m lockgate.manifest.reference` writes."""
    assert DOCS.read_text("utf-8") == reference()


def test_every_section_is_in_it() -> None:
    """No section of the schema is left out of the reference."""
    assert set(TITLES) == set(sections(Manifest))


def test_every_key_is_explained() -> None:
    """Every key of every section has words of its own."""
    for section in sections(Manifest):
        assert section.__doc__
        for key, field in fields(section).items():
            assert field.description, f"{section.__name__}.{key}"
