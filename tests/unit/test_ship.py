"""`lockgate.ship`: what was true in the notebook is true of what is served."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

import lockgate
from lockgate.core.errors import ManifestError
from lockgate.manifest.draft import NotAdded
from lockgate.manifest.load import Loaded, load
from lockgate.manifest.schema import FunctionModel, SklearnModel
from lockgate.ship import NotShipped, Shipped, ship

DATA: Any = load_breast_cancer()
NAMES = [str(name) for name in DATA.feature_names]
ROWS = DATA.data[:40]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def forest() -> Any:
    """Train a classifier on real data."""
    return RandomForestClassifier(n_estimators=10, random_state=3).fit(DATA.data, DATA.target)


def loaded(shipped: Shipped) -> Loaded:
    """Load what was shipped."""
    return load(shipped.manifest, environ={})


def sklearn_model(manifest: Loaded, name: str) -> SklearnModel:
    """Give a model that is of kind sklearn."""
    model = manifest.manifest.models[name]
    assert isinstance(model, SklearnModel)
    return model


def schema(folder: Path, name: str) -> Any:
    """Read a contract."""
    return json.loads((folder / "contracts" / f"{name}.schema.json").read_text())


def test_real_data_to_match(forest: Any) -> None:
    """The file that is shipped predicts what the estimator does on all the data, bit for bit."""
    shipped = lockgate.ship(forest, name="screening", example=ROWS, labels=DATA.target_names)
    model = sklearn_model(loaded(shipped), "screening")
    again = skops.io.load(shipped.directory / model.file, trusted=list(model.trust))
    assert again.predict(DATA.data).tobytes() == forest.predict(DATA.data).tobytes()
    assert again.predict_proba(DATA.data).tobytes() == forest.predict_proba(DATA.data).tobytes()
    named = [model.labels[label] for label in again.predict(DATA.data)]
    assert named == [str(DATA.target_names[label]) for label in forest.predict(DATA.data)]
    assert model.trust == ("sklearn.tree._tree.Tree",)
    assert model.features == ()


def test_the_manifest(forest: Any) -> None:
    """A floor becomes a rung that says so honestly; the price is there; the digest is right."""
    rows = [dict(zip(NAMES, map(float, row), strict=True)) for row in ROWS]
    shipped = ship(forest, name="screening", example=rows, at_least=0.9, price="0.0001 USD")
    manifest = loaded(shipped).manifest
    service = manifest.services["screening"]
    assert service.confidence is not None
    assert service.confidence.at_least == 0.9
    assert "label" in str(service.ladder[0])
    assert str(manifest.models["screening"].price.per_call) == "0.0001"
    assert sklearn_model(loaded(shipped), "screening").features == tuple(NAMES)


def test_the_contracts(forest: Any, folder: Path) -> None:
    """Inputs are objects of numbers; outputs are a class with its chances, or an honest null."""
    shipped = ship(forest, name="s", example=ROWS, labels=["bad", "good"], at_least="90%")
    given = jsonschema_rs.validator_for(schema(shipped.directory, "s-in"))
    example = json.loads((folder / "s.lockgate/examples/s.json").read_text())
    assert given.is_valid(example)
    assert list(example) == [f"x{i}" for i in range(30)]
    assert not given.is_valid({**example, "x0": "much"})
    assert not given.is_valid({**example, "x30": 1})
    assert not given.is_valid({})
    answer = jsonschema_rs.validator_for(schema(shipped.directory, "s-out"))
    assert answer.is_valid({"label": "bad", "probabilities": {"bad": 0.75, "good": 0.25}})
    assert answer.is_valid({"label": None, "reason": "not certain"})
    assert not answer.is_valid({"label": "ugly"})
    assert not answer.is_valid({"label": "bad", "probabilities": {"bad": 1.5, "good": 0}})


class Frame:
    """As much of a DataFrame as is asked of one."""

    def __init__(self, columns: list[str], rows: Any) -> None:
        self.columns = columns
        self._rows = rows

    def to_numpy(self) -> Any:
        return self._rows


def test_frames(forest: Any) -> None:
    """A DataFrame's columns become the features' names."""
    shipped = ship(forest, name="f", example=Frame(NAMES, ROWS))
    assert sklearn_model(loaded(shipped), "f").features == tuple(NAMES)


@pytest.mark.parametrize(
    ("model", "output"),
    [
        (LinearRegression(), {"value": 1.5}),
        (LinearSVC(), {"label": 1}),
        (make_pipeline(StandardScaler(), LogisticRegression()), {"label": 0}),
    ],
    ids=["regressor", "no probabilities", "pipeline"],
)
def test_other_estimators(model: Any, output: dict[str, float], folder: Path) -> None:
    """Regressors, classifiers without probabilities, and pipelines are taken in as they are."""
    model.fit(DATA.data, DATA.target)
    shipped = ship(model, name="m", example=ROWS)
    assert loaded(shipped).manifest.services["m"].kind == "predict"
    assert jsonschema_rs.is_valid(schema(folder / "m.lockgate", "m-out"), output)


def test_into_an_existing_manifest(forest: Any, folder: Path) -> None:
    """A model is added to the manifest that is there; comments stay; again is an update."""
    (folder / "app.py").write_text("def answer(text): return text\n")
    (folder / "lockgate.yaml").write_text(
        "version: 1  # ours\nmodels:\n  app: {kind: function, call: app:answer}\n"
        "services:\n  desk: {kind: chat, targets: [app]}\n"
    )
    for floor in (0.5, 0.6):
        shipped = ship(forest, name="s", example=ROWS, directory=folder, at_least=floor)
    manifest = loaded(shipped).manifest
    assert list(manifest.services) == ["desk", "s"]
    assert manifest.services["s"].confidence is not None
    assert manifest.services["s"].confidence.at_least == 0.6
    assert "# ours" in (folder / "lockgate.yaml").read_text()
    with pytest.raises(NotAdded):
        ship(forest, name="desk", example=ROWS, directory=folder)
    assert not (folder / "models/desk.skops").exists()


def test_a_wrong_manifest_stays_as_it_is(forest: Any, folder: Path) -> None:
    """Nothing is written beside a manifest that is wrong."""
    (folder / "lockgate.yaml").write_text("version: 3\n")
    with pytest.raises(ManifestError):
        ship(forest, name="s", example=ROWS, directory=folder)
    assert [path.name for path in folder.iterdir()] == ["lockgate.yaml"]


class Forgetful(ClassifierMixin, BaseEstimator):
    """Predicts from what is not among its attributes."""

    memory: dict[int, int] = {}  # noqa: RUF012 — the point: state that saving leaves behind

    def fit(self, x: Any, y: Any) -> Forgetful:
        self.classes_ = np.unique(y)
        self.n_features_in_ = x.shape[1]
        self.memory[id(self)] = 1
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), self.memory.get(id(self), 0))


def test_a_model_that_changes_on_the_way_is_refused() -> None:
    """What predicts something else once it is loaded is not shipped."""
    model = Forgetful().fit(DATA.data, DATA.target)
    with pytest.raises(NotShipped, match="predicts something else"):
        ship(model, name="m", example=ROWS)
    assert not Path("m.lockgate").exists()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "My Model"}, "cannot be a name"),
    ({"model": 3}, "not int"),
    ({"model": LogisticRegression}, "not the class LogisticRegression"),
    ({"model": LogisticRegression()}, "not fitted"),
    ({"model": StandardScaler().fit(DATA.data)}, "has no predict"),
    ({"example": ROWS[:, :3]}, "takes 30 features, `example` has 3"),
    ({"example": []}, "no rows|different|features"),
    ({"example": [{"a": 1}, {"b": 1}]}, "same keys"),
    ({"example": np.zeros((2, 2, 2))}, "3 dimensions"),
    ({"example": [[object()] * 30]}, "holds a object"),
    ({"labels": ["one"]}, "1 are named, the model has 2"),
    ({"at_least": 80}, "at_least.*80%"),
    ({"price": "1 EUR"}, "price: EUR"),
    ({"model": LinearRegression().fit(DATA.data, DATA.target), "at_least": 0.5}, "predict_proba"),
    (
        {"model": LinearRegression().fit(DATA.data, DATA.target), "labels": ["a"]},
        "not a classifier",
    ),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(forest: Any, change: dict[str, Any], says: str) -> None:
    """What cannot be served says why, and leaves no file behind."""
    asked = {"model": forest, "name": "m", "example": ROWS, **change}
    with pytest.raises(NotShipped, match=says):
        ship(asked.pop("model"), **asked)
    assert list(Path().iterdir()) == []


FACTOR = 3
TRAINED = LinearRegression()


def scaled(number: float) -> float:
    """Use a constant of this module."""
    return number * FACTOR


def answer(number: float) -> dict[str, float]:
    """Use another function and an import of this module."""
    return {"value": np.float64(scaled(number)).item()}


def by_global_model(number: float) -> Any:
    """Use a model that lives in this module."""
    return TRAINED.predict([[number]])


def chatty(text: str) -> str:
    """Answer a text with a text."""
    return text.upper()


def closed() -> Callable[[float], float]:
    """Make a function that closes over a variable."""
    offset = 2.0

    def shifted(number: float) -> float:
        return number + offset

    return shifted


def test_a_function() -> None:
    """A function is shipped with the source of all it uses, and answers the same elsewhere."""
    shipped = ship(answer, name="calc", example={"number": 2})
    model = loaded(shipped).manifest.models["calc"]
    assert isinstance(model, FunctionModel)
    assert model.call == "calc_function:answer"
    code = "import calc_function; print(calc_function.answer(2))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=shipped.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "{'value': 6.0}\n", ran.stderr
    assert loaded(shipped).manifest.services["calc"].kind == "predict"
    assert jsonschema_rs.is_valid(schema(shipped.directory, "calc-in"), {"number": 3})


def test_a_function_that_talks() -> None:
    """An example that is text makes a chat service."""
    shipped = ship(chatty, name="shout", example="hello")
    assert loaded(shipped).manifest.services["shout"].kind == "chat"
    assert "/v1/chat/completions" in shipped.curl


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (closed(), "closes over `offset`"),
        (by_global_model, "`TRAINED`, a LinearRegression"),
        (eval("lambda number: number"), "lambda"),
    ],
    ids=["closure", "a model", "lambda"],
)
def test_functions_that_source_cannot_carry(function: Any, says: str) -> None:
    """What source cannot carry is refused by the variable's name."""
    with pytest.raises(NotShipped, match=says):
        ship(function, name="m", example={"number": 1})
    assert list(Path().iterdir()) == []


def test_a_pipeline_with_a_lambda() -> None:
    """The step that holds the lambda is named, and what to do about it."""
    nameless: Any = eval("lambda rows: rows")
    step = FunctionTransformer(nameless)
    model = make_pipeline(StandardScaler(), step, LogisticRegression())
    model.fit(DATA.data[:, :3], DATA.target)
    with pytest.raises(NotShipped, match="`func` of the step `functiontransformer` is a lambda"):
        ship(model, name="x", example=DATA.data[:5, :3])
    with pytest.raises(NotShipped, match="with `def` in a module beside the manifest"):
        ship(model, name="x", example=DATA.data[:5, :3])


def test_the_card(forest: Any) -> None:
    """The card shows files, where it answers, a call to try, and the next command; all escaped."""
    shipped = ship(forest, name="screening", example=ROWS)
    html = shipped._repr_html_()
    for part in ("models/screening.skops", "/v1/services/screening/predict", "lockgate serve"):
        assert part in repr(shipped)
        assert part in html
    assert "curl " in html
    assert "<script" not in Shipped("<script>", Path(), Path(), ())._repr_html_()


def test_importing_lockgate_is_light() -> None:
    """`import lockgate` loads nothing heavy; `lockgate.ship` can be called."""
    code = (
        "import sys, lockgate\n"
        "assert not {'pydantic', 'sklearn', 'lockgate.ship'} & set(sys.modules)\n"
        "import lockgate.ship\n"
        "assert callable(lockgate.ship)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
