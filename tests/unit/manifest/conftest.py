"""A manifest in a folder of its own, and what is found in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from lockgate.manifest.findings import Finding, rendered
from lockgate.manifest.load import Examination, Loaded, examine, load

APP = "def answer(text: str) -> str:\n    return text\n"


@dataclass(frozen=True)
class Desk:
    """A folder with `app.py` in it, on which manifests are written and examined."""

    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "lockgate.yaml"

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def examine(self, text: str, *, env: str | None = None, deep: bool = False) -> Examination:
        self.put("lockgate.yaml", text)
        return examine(self.manifest, env=env, environ=os.environ, deep=deep)

    def load(
        self, text: str, *, env: str | None = None, environ: Mapping[str, str] | None = None
    ) -> Loaded:
        self.put("lockgate.yaml", text)
        return load(self.manifest, env=env, environ=environ or {})

    def findings(self, text: str, *, env: str | None = None, deep: bool = False) -> list[str]:
        """Give every finding as `line:column code`."""
        found = self.examine(text, env=env, deep=deep).findings
        return [f"{one.at.line}:{one.at.column} {one.code}" for one in found]

    def only(self, text: str) -> Finding:
        """Give the only finding."""
        (finding,) = self.examine(text).findings
        return finding

    def shown(self, text: str) -> str:
        """Give all findings as the user sees them, the folder left out."""
        examination = self.examine(text)
        texts = [rendered(finding, examination.source) for finding in examination.findings]
        return "\n\n".join(texts).replace(f"{self.folder}/", "")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Give a fresh folder with an `app.py`."""
    made = Desk(tmp_path)
    made.put("app.py", APP)
    return made
