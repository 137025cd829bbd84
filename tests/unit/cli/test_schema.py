"""`lockgate schema`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest

from lockgate.cli.app import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """The schema on stdout is a JSON Schema and nothing else."""
    with pytest.raises(SystemExit, match="0"):
        run(["schema"])
    jsonschema_rs.validator_for(json.loads(capsys.readouterr().out))


def test_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Written to its place, it comes with the line that editors need; writing again is fine."""
    for _ in range(2):
        with pytest.raises(SystemExit, match="0"):
            run(["schema", "--write"])
    jsonschema_rs.validator_for(json.loads((folder / ".lockgate/schema.json").read_text()))
    said = capsys.readouterr().out
    assert "# yaml-language-server: $schema=.lockgate/schema.json" in said
