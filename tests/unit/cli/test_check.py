"""`lockgate check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lockgate.cli.app import run

GOOD = """\
version: 1
models:
  app: {kind: function, call: app:answer}
  spare: {kind: openai, url: https://llm.example.com/v1, model: m, key: {env: LLM_KEY}}
services:
  desk: {kind: chat, targets: [app]}
environments:
  prod: {services: {desk: {targets: [app, spare]}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a good manifest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLM_KEY", "hush-hush")
    (tmp_path / "app.py").write_text("def answer(text: str) -> str:\n    return text\n")
    (tmp_path / "lockgate.yaml").write_text(GOOD)
    return tmp_path


def lockgate(*words: str) -> object:
    """Run the command line; give its exit code."""
    with pytest.raises(SystemExit) as ended:
        run(words)
    return ended.value.code


@pytest.mark.usefixtures("folder")
def test_fine(capsys: pytest.CaptureFixture[str]) -> None:
    """A good manifest is one line and exit code 0."""
    assert lockgate("check") == 0
    said = capsys.readouterr()
    assert said.out == "lockgate.yaml is fine: 1 service, 2 models\n"
    assert said.err == ""  # `spare` is used in prod


def test_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything wrong is on stderr, with exit code 2 and nothing on stdout."""
    (folder / "lockgate.yaml").write_text(GOOD.replace("chat", "chatt").replace("app]", "ap]"))
    assert lockgate("check") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "lockgate.yaml:6:16: error[LG1013]" in said.err
    assert "lockgate.yaml:6:33: error[LG1101]" in said.err
    assert "lockgate.yaml has 2 errors" in said.err


def test_every_environment_is_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in one environment only is found, and says in which."""
    (folder / "lockgate.yaml").write_text(GOOD.replace("spare]", "sparse]"))
    assert lockgate("check") == 2
    assert "`sparse` (in environment `prod`)" in capsys.readouterr().err
    assert lockgate("check", "--env", "prod") == 2
    assert lockgate("check", "--env", "dev") == 2
    assert "LG1105" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_one_environment(capsys: pytest.CaptureFixture[str]) -> None:
    """An environment can be named."""
    assert lockgate("check", "--env", "prod") == 0
    assert "fine in environment prod" in capsys.readouterr().out


def test_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A warning is said and does not fail."""
    (folder / "lockgate.yaml").write_text(GOOD.partition("environments")[0])
    assert lockgate("check") == 0
    assert "warning[LG1107]" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_secret_that_is_not_set_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a warning at its place, with what to do: it may be set where it is served."""
    monkeypatch.delenv("LLM_KEY")
    assert lockgate("check") == 0
    said = capsys.readouterr()
    assert "lockgate.yaml:4:68: warning[LG1203]: `models.spare.key`" in said.err
    assert "export LLM_KEY=…" in said.err
    assert "is fine" in said.out


def test_resolved(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The resolved manifest has every default, keeps secrets as references, and is a manifest."""
    assert lockgate("check", "--resolved", "--env", "prod") == 0
    text = capsys.readouterr().out
    assert "deadline: 30s" in text
    assert "env: LLM_KEY" in text
    (folder / "lockgate.yaml").write_text(text)
    assert lockgate("check") == 0


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Findings as JSON have file, line, column, code, message and help; stdout is JSON only."""
    assert lockgate("check", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    (folder / "lockgate.yaml").write_text(GOOD.replace("desk: {kind", "desk: {knd: 1, kind"))
    assert lockgate("check", "--json") == 2
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": "lockgate.yaml",
            "line": 6,
            "col": 10,
            "code": "LG1010",
            "severity": "error",
            "message": "unknown key `knd`",
            "help": "did you mean `kind`?",
        }
    ]


def test_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest can be named, or the folder that it is in; a missing one names `lockgate init`."""
    (folder / "sub").mkdir()
    assert lockgate("check", str(folder)) == 0
    assert lockgate("check", "sub") == 2
    assert "lockgate init" in capsys.readouterr().err


def test_deep(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Digests are compared when asked."""
    (folder / "m.gguf").write_text("weights")
    llama = f"{{kind: llama, file: m.gguf, sha256: {'a' * 64}}}"
    text = GOOD.replace("{kind: function, call: app:answer}", llama)
    (folder / "lockgate.yaml").write_text(text)
    assert lockgate("check") == 0
    assert lockgate("check", "--deep") == 2
    assert "LG1108" in capsys.readouterr().err
