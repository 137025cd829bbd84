"""`lockgate init`: every prototype becomes a manifest that is fine, and nothing is overwritten."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from lockgate.cli.app import run
from lockgate.manifest.load import Loaded, load
from lockgate.manifest.schema import FunctionModel, LlamaModel, SklearnModel, UncertainRung

ONNX = b"\x08\x09\x12\x04test\x3a\x03\x12\x01g\x42\x02\x10\x12"
"""A model's outermost layer: version 9, producer, graph, operator set."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str) -> object:
    """Run `lockgate init`; give its exit code."""
    with pytest.raises(SystemExit) as ended:
        run(["init", *words])
    return ended.value.code


def begun(*words: str) -> Loaded:
    """Run `lockgate init` and load what it wrote."""
    assert init(*words) == 0
    return load(Path("lockgate.yaml"), environ={})


def test_from_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An example of at most eight lines beside comments is written, and what is next said."""
    loaded = begun()
    lines = (folder / "lockgate.yaml").read_text().splitlines()
    assert len([line for line in lines if line.strip() and line.strip()[0] != "#"]) <= 8
    assert loaded.manifest.services["app"].kind == "chat"
    said = capsys.readouterr().out
    assert "wrote lockgate.yaml" in said
    assert "wrote app.py" in said
    assert "next: lockgate check" in said


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that exist stay as they are, all of them, unless --force."""
    (folder / "app.py").write_text("mine")
    assert init() == 2
    assert "app.py exists; --force" in capsys.readouterr().err
    assert (folder / "app.py").read_text() == "mine"
    assert not (folder / "lockgate.yaml").exists()
    assert init("--force") == 0


def test_from_a_function(folder: Path) -> None:
    """A Python file's only function, or the one that is named, becomes a predict service."""
    (folder / "score.py").write_text("def score(x): return x\n")
    model = begun("--from", "score.py").manifest.models["score"]
    assert isinstance(model, FunctionModel)
    assert model.call == "score:score"
    (folder / "sub").mkdir()
    (folder / "sub/Two-Things.py").write_text("")
    (folder / "sub/two.py").write_text("def a(x): ...\ndef b(messages): ...\n")
    loaded = begun("--from", "sub/two.py:b", "--force")
    model = loaded.manifest.models["two"]
    assert isinstance(model, FunctionModel)
    assert model.call == "sub.two:b"
    assert loaded.manifest.services["two"].kind == "chat"


def test_from_a_model(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A skops file's types beyond skops' own list are shown and listed; its digest is pinned."""
    tree = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    skops.io.dump(tree, folder / "My Tree.skops")
    model = begun("--from", "My Tree.skops").manifest.models["my-tree"]
    assert isinstance(model, SklearnModel)
    assert model.trust == ("sklearn.tree._tree.Tree",)
    assert model.sha256 is not None
    assert "sklearn.tree._tree.Tree" in capsys.readouterr().out
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), folder / "plain.skops")
    model = begun("--from", "plain.skops", "--force").manifest.models["plain"]
    assert isinstance(model, SklearnModel)
    assert model.trust == ()


def test_from_an_onnx_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An ONNX file gets a function that loads it; the package that it needs is named."""
    (folder / "iris.onnx").write_bytes(ONNX)
    model = begun("--from", "iris.onnx").manifest.models["iris"]
    assert isinstance(model, FunctionModel)
    assert model.call == "iris_onnx:predict"
    written = (folder / "iris_onnx.py").read_text()
    compile(written, "iris_onnx.py", "exec")
    assert '"iris.onnx"' in written
    assert "pip install onnxruntime" in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"", b"onnx", bytes(range(256)), ONNX[:-1], ONNX + b"\x00", ONNX[:2], ONNX[2:], b"\x08" * 99],
    ids=range(8),
)
def test_from_a_file_that_is_no_onnx_model(
    folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    """Anything but a version and a graph, complete, is refused, and nothing is written."""
    (folder / "iris.onnx").write_bytes(content)
    assert init("--from", "iris.onnx") == 2
    assert "not an ONNX model" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["iris.onnx"]


def test_from_a_prompt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt becomes a chat service on the small model that is installed, which ends in time."""
    (folder / "Support desk.md").write_text("You help.\n")
    loaded = begun("--from", "Support desk.md")
    assert loaded.manifest.services["support-desk"].prompt == "Support desk.md"
    service, model = loaded.manifest.services["support-desk"], loaded.manifest.models["small"]
    assert isinstance(model, LlamaModel)
    assert model.timeouts.total < service.deadline <= 20
    assert isinstance(service.ladder[-1], UncertainRung)
    assert "lockgate key create --tenant me" in capsys.readouterr().out


def notebook(folder: Path, *cells: dict[str, Any]) -> None:
    """Write a notebook of these code cells, after a text cell."""
    first = {"cell_type": "markdown", "source": ["# Title"]}
    code = [{"cell_type": "code", "metadata": {}, **cell} for cell in cells]
    (folder / "study.ipynb").write_text(json.dumps({"nbformat": 4, "cells": [first, *code]}))


def test_from_a_notebook(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Marked cells become a module, with the imports they need; magics are left out."""
    notebook(
        folder,
        {"source": ["import json, os\n", "!pip install x\n"]},
        {"source": ["FACTOR = 2"], "metadata": {"tags": ["lockgate"]}},
        {"source": "%timeit\n# lockgate: predict\ndef score(x): return json.dumps(x * FACTOR)"},
        {"source": ["raise SystemExit"]},
    )
    model = begun("--from", "study.ipynb").manifest.models["study"]
    assert isinstance(model, FunctionModel)
    assert model.call == "study:score"
    source = (folder / "study.py").read_text()
    namespace: dict[str, Any] = {}
    exec(compile(source, "study.py", "exec"), namespace)
    assert namespace["score"](3) == "6"
    assert "import os" not in source
    assert "took the imports of json along" in capsys.readouterr().out


def test_a_notebook_that_needs_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What marked cells use and do not define is named, with the cell that defines it."""
    notebook(
        folder,
        {"source": ["model = train()"]},
        {"source": ["# lockgate: predict\n", "def score(x): return model.predict(clean(x))"]},
    )
    assert init("--from", "study.ipynb") == 2
    said = capsys.readouterr().err
    assert "`model`: cell 2 defines it" in said
    assert "`clean`: no cell defines it" in said
    assert sorted(path.name for path in folder.iterdir()) == ["study.ipynb"]


BAD: Sequence[tuple[str, bytes, str]] = (
    ("gone.py", b"", "does not exist"),
    ("x.pkl", b"x", ".skops"),
    ("x.py", b"def f(:", "not Python"),
    ("x.py", b"\xff", "not UTF-8"),
    ("my-file.py", b"def f(x): ...", "rename it"),
    ("x.skops", b"no zip", "not a skops file"),
    ("x.txt", b"  \n", "empty"),
    ("x.ipynb", b"{", "not a notebook"),
    ("x.ipynb", b'{"cells": 3}', "not a notebook"),
    ("x.ipynb", b'{"cells": [{"cell_type": "code"}]}', "not a notebook"),
    ("x.ipynb", b'{"cells": []}', "no cell"),
    (
        "x.ipynb",
        b'{"cells": [{"cell_type": "code", "source": "# lockgate: predict\\n)"}]}',
        "cell 1",
    ),
    ("", b"", "understood here"),
)


@pytest.mark.parametrize(("name", "content", "says"), BAD, ids=range(len(BAD)))
def test_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, says: str
) -> None:
    """What is no prototype ends with exit code 2 and the reason, and nothing is written."""
    if content:
        (folder / name).write_bytes(content)
    assert init("--from", name) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "lockgate.yaml").exists()


def test_a_file_from_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A function outside the folder is refused with the command that works; a model is not."""
    other = tmp_path_factory.mktemp("other")
    (other / "f.py").write_text("def f(x): ...")
    assert init("--from", str(other / "f.py")) == 2
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), other / "m.skops")
    loaded = begun("--from", str(other / "m.skops"))
    model = loaded.manifest.models["m"]
    assert isinstance(model, SklearnModel)
    assert loaded.file(model.file).samefile(other / "m.skops")
