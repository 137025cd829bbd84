"""The demo's project, served for real: SmolLM2, scikit-learn and the functions."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from lockgate.demo.project import Sample, lay_out
from lockgate.testing.server import Served, served


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Sample, ...]]:
    """Lay the demo's project out once."""
    folder = tmp_path_factory.mktemp("demo") / "project"
    return lay_out(folder)


@pytest.fixture(scope="session")
def samples(project: tuple[Path, tuple[Sample, ...]]) -> tuple[Sample, ...]:
    """Inputs of `screening` with what the model says of them in process."""
    return project[1]


@pytest.fixture(scope="session")
def desk(project: tuple[Path, tuple[Sample, ...]]) -> Generator[Served]:
    """Serve it."""
    manifest = project[0]
    with served(manifest.parent, manifest.read_text()) as server:
        yield server
