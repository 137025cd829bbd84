"""A project on disk, and the command line run on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from lockgate.cli.main import main
from lockgate.core.entry import Entry
from lockgate.store.engine import open_store
from lockgate.store.migrate import migrate
from lockgate.testing.conformance.store import ingested, written

MANIFEST = """
version: 1
models:
  upstream: {kind: openai, url: "http://127.0.0.1:9/v1", model: m}
services:
  assistant: {kind: chat, targets: [upstream]}
  router: {kind: chat, targets: [upstream]}
environments:
  other:
    store: sqlite:///other.db
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a manifest."""

    root: Path
    capture: pytest.CaptureFixture[str]

    @property
    def url(self) -> str:
        """Its store."""
        return f"sqlite:///{self.root}/.lockgate/lockgate.db"

    def run(self, *words: str) -> Ran:
        """Run `lockgate` with *words* on this project."""
        code: object = 0
        try:
            main([*words, "--manifest", str(self.root / "lockgate.yaml")])
        except SystemExit as ending:
            code = ending.code
        said = self.capture.readouterr()
        assert isinstance(code, int)
        return Ran(code, said.out, said.err)

    def fill(self, *entries: Entry) -> None:
        """Put finished calls into its ledger."""
        store = open_store(self.url)
        migrate(store)
        written(self.root / "journal", list(entries))
        ingested(store, self.root / "journal")
        store.close()


def a_project(root: Path, capture: pytest.CaptureFixture[str]) -> Project:
    """Make one."""
    (root / "lockgate.yaml").write_text(MANIFEST)
    return Project(root, capture)
