"""`lockgate serve` where it must not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockgate.cli.app import run

MANIFEST = """\
version: 1
models:
  far: {kind: openai, url: https://llm.example.com/v1, model: m, key: {env: FAR_KEY}}
  two: {kind: openai, url: https://two.example.com/v1, model: m, key: {file: two.key}}
services:
  desk: {kind: chat, targets: [far, two]}
"""


def test_secrets_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them are named at once, with place and remedy, and nothing is started."""
    monkeypatch.delenv("FAR_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lockgate.yaml").write_text(MANIFEST)
    with pytest.raises(SystemExit) as ended:
        run(["serve"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert "lockgate.yaml:3:66: error[LG1203]: `models.far.key`: the environment variable" in said
    assert "export FAR_KEY=…" in said
    assert "error[LG1204]: `models.two.key`: the secret's file `two.key`" in said
    assert not (tmp_path / ".lockgate").exists()
