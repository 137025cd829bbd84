"""scikit-learn estimators behind the line give the numbers they give in process."""

import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from lockgate.ai.models import frames
from lockgate.ai.models.elements import raw
from lockgate.ai.models.estimator import SklearnModel
from lockgate.ai.models.hosting import Said
from lockgate.ai.models.skops_file import load_estimator
from lockgate.ai.models.threads import Threads
from lockgate.core.errors import BackendBroken, BackendRejected, InputRejected, ManifestError
from lockgate.core.payload import Json, Message, Rows, Tensor, Tensors, TensorsReply

pytestmark = pytest.mark.anyio

Host = Callable[..., SklearnModel]
BUNCH: Any = load_breast_cancer()
X, Y = BUNCH.data, BUNCH.target
NAMES = tuple(map(str, BUNCH.feature_names))


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """A scaled logistic regression on the breast-cancer data."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


@pytest.fixture
def host() -> Iterator[Host]:
    """Host estimators; their threads end with the test."""
    made: list[Threads] = []

    def make(
        estimator: Any, features: tuple[str, ...] = (), labels: tuple[str, ...] = ()
    ) -> SklearnModel:
        made.append(Threads())
        return SklearnModel(estimator, features, labels, made[-1])

    yield make
    for threads in made:
        threads.close()


async def ask(model: SklearnModel, question: frames.Question) -> Said:
    """Ask; give what was said."""
    said = await model.answer(question)
    assert not isinstance(said, AsyncGenerator)
    return said


async def outputs(model: SklearnModel, matrix: Any, *names: str) -> dict[str, Tensor]:
    """Ask with a matrix as raw bytes; give the output tensors by name."""
    tensor = tensor_of(matrix)
    said = await ask(model, Tensors(inputs=(tensor,), outputs=names))
    assert isinstance(said.body, TensorsReply)
    return {each.name: each for each in said.body.outputs}


def tensor_of(matrix: Any) -> Tensor:
    """Make a tensor as it arrives in a runner."""
    datatype = {"f8": "FP64", "f4": "FP32", "i8": "INT64", "i4": "INT32", "b1": "BOOL"}
    kind = datatype[matrix.dtype.str[1:]]
    return Tensor(name="x", datatype=kind, shape=matrix.shape, data=matrix.tobytes())


def row_of(values: Any, names: tuple[str, ...] = NAMES) -> Rows:
    """Make a JSON input."""
    return Rows(input=dict(zip(names, map(float, values), strict=True)))


# The same numbers


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i8", "<i4"])
async def test_tensors_give_the_numbers_of_the_estimator(
    host: Host, pipeline: Any, dtype: str
) -> None:
    """Predictions and probabilities are those in process, to the last bit, for every datatype."""
    matrix = X[:50].astype(dtype)
    model = host(pipeline)
    given_back = await outputs(model, matrix)
    assert given_back["predict"].data == pipeline.predict(matrix).astype("<i8").tobytes()
    assert given_back["predict"].datatype == "INT64"
    assert given_back["predict"].shape == (50,)
    probabilities = pipeline.predict_proba(matrix)
    assert given_back["predict_proba"].data == probabilities.astype("<f8").tobytes()
    assert given_back["predict_proba"].shape == (50, 2)


async def test_the_evidence_is_the_largest_probability_of_each_row(
    host: Host, pipeline: Any
) -> None:
    """Whichever outputs are asked for, the judge gets the probability of the predicted class."""
    question = Tensors(inputs=(tensor_of(X[:20]),), outputs=("predict",))
    said = await ask(host(pipeline), question)
    assert said.probabilities == tuple(pipeline.predict_proba(X[:20]).max(axis=1).tolist())


async def test_a_row_gives_label_and_probabilities(host: Host, pipeline: Any) -> None:
    """A JSON input is answered with the class and what each class's probability is."""
    model = host(pipeline, NAMES)
    for values in X[:20]:
        said = await ask(model, row_of(values))
        first, second = pipeline.predict_proba([values])[0].tolist()
        label = int(pipeline.predict([values])[0])
        assert said.body == {"label": label, "probabilities": {"0": first, "1": second}}
        assert said.probabilities == (max(first, second),)


async def test_labels_of_the_manifest_rename_classes(host: Host, pipeline: Any) -> None:
    """Callers of the JSON surface read words; the order is the estimator's."""
    said = await ask(host(pipeline, NAMES, ("malignant", "benign")), row_of(X[0]))
    assert said.body["label"] == "malignant"
    assert list(said.body["probabilities"]) == ["malignant", "benign"]


async def test_string_classes_stay_strings(host: Host) -> None:
    """Classes that are words travel as words, in JSON and as BYTES."""
    words = np.array(["malignant", "benign"])[Y]
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, words)
    model = host(tree, NAMES)
    given_back = await outputs(model, X[:30], "predict")
    assert given_back["predict"].datatype == "BYTES"
    assert given_back["predict"].data == tree.predict(X[:30]).tolist()
    assert (await ask(model, row_of(X[0]))).body["label"] == "malignant"


async def test_regressors_give_a_value(host: Host) -> None:
    """A number, without probabilities or evidence."""
    regressor = LinearRegression().fit(X[:, :3], X[:, 3])
    model = host(regressor)
    said = await ask(model, row_of(X[0, :3], ("x0", "x1", "x2")))
    assert said.body == {"value": regressor.predict(X[:1, :3])[0]}
    assert said.probabilities == ()
    given_back = await outputs(model, X[:9, :3])
    assert list(given_back) == ["predict"]
    assert given_back["predict"].datatype == "FP64"
    assert given_back["predict"].data == regressor.predict(X[:9, :3]).tobytes()


async def test_classifiers_without_probabilities_give_a_label(host: Host) -> None:
    """What the estimator does not say is not made up."""
    svc = make_pipeline(StandardScaler(), LinearSVC()).fit(X, Y)
    said = await ask(host(svc, NAMES), row_of(X[0]))
    assert said == Said(body={"label": 0})


async def test_clusterers_give_a_label(host: Host) -> None:
    """The cluster's number."""
    clusters = KMeans(3, random_state=0).fit(X[:, :2])
    said = await ask(host(clusters), row_of(X[0, :2], ("x0", "x1")))
    assert said.body == {"label": int(clusters.predict(X[:1, :2])[0])}


async def test_the_tensors_are_described(host: Host, pipeline: Any) -> None:
    """Names, datatypes and shapes as V2's metadata gives them."""
    described = host(pipeline).describe()
    assert described == frames.Described(
        inputs=(frames.TensorForm(name="input", datatype="FP64", shape=(-1, 30)),),
        outputs=(
            frames.TensorForm(name="predict", datatype="INT64", shape=(-1,)),
            frames.TensorForm(name="predict_proba", datatype="FP64", shape=(-1, 2)),
        ),
    )


# What is refused


def told(error: InputRejected) -> str:
    """Give what the caller is told."""
    return error.said or error.message


async def test_wrong_features_are_named(host: Host, pipeline: Any) -> None:
    """A missing and an unknown feature are both named."""
    row = row_of(X[0])
    row.input["radius"] = row.input.pop("mean radius")
    with pytest.raises(InputRejected) as raised:
        await ask(host(pipeline, NAMES), row)
    assert raised.value.said == "missing features: mean radius; unknown features: radius"
    assert raised.value.message == "the input lacks 1 features and has 1 unknown ones"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1.0] * 30, "takes an object"),
        (None, "takes an object"),
        ({}, "missing features: mean radius.* and 22 more"),
        ({name: [1] for name in NAMES}, "feature mean radius is list, not a number"),
        (dict.fromkeys(NAMES, "high"), "the estimator refused the input: could not convert"),
        (dict.fromkeys(NAMES), "the estimator refused the input: Input X contains NaN"),
    ],
)
async def test_inputs_that_are_no_row_are_rejected(
    host: Host, pipeline: Any, value: Json, reason: str
) -> None:
    """Each says what is wrong with it; null is a missing number, on which the estimator decides."""
    with pytest.raises(InputRejected) as raised:
        await ask(host(pipeline, NAMES), Rows(input=value))
    assert re.search(reason, told(raised.value))


@pytest.mark.parametrize(
    ("tensors", "names", "reason"),
    [
        ((tensor_of(X[:2, :7]),), (), r"takes shape \[rows, 30\], got \[2, 7\]"),
        ((tensor_of(X[0]),), (), r"takes shape \[rows, 30\], got \[30\]"),
        ((tensor_of(X[:1]), tensor_of(X[:1])), (), "takes one input tensor, got 2"),
        ((), (), "takes one input tensor, got 0"),
        ((tensor_of(X[:0]),), (), "refused the input: Found array with 0 sample"),
        ((tensor_of(X[:1] * np.nan),), (), "refused the input: Input X contains NaN"),
        ((tensor_of(X[:1]),), ("logits",), "no output logits; .* gives predict, predict_proba"),
        (
            (Tensor(name="x", datatype="FP64", shape=(2, 30), data=b"\0" * 8),),
            (),
            "cannot reshape",
        ),
        ((Tensor(name="x", datatype="BYTES", shape=(1, 30), data=[]),), (), "BYTES is not taken"),
    ],
)
async def test_tensors_that_do_not_fit_are_rejected(
    host: Host, pipeline: Any, tensors: tuple[Tensor, ...], names: tuple[str, ...], reason: str
) -> None:
    """Shape, number, content and wanted outputs are checked, and the reason is said."""
    with pytest.raises(InputRejected) as raised:
        await ask(host(pipeline), Tensors(inputs=tensors, outputs=names))
    assert re.search(reason, told(raised.value))


SECRET = "SECRET"


@pytest.mark.parametrize(
    "question",
    [
        Rows(input={SECRET: 1.0}),
        Rows(input=dict.fromkeys(NAMES, SECRET)),
        Rows(input={name: [SECRET] for name in NAMES}),
        Tensors(inputs=(tensor_of(X[:1]),), outputs=(SECRET,)),
        Tensors(inputs=(Tensor(name=SECRET, datatype="FP64", shape=(1, 7), data=b""),)),
        Tensors(inputs=(Tensor(name=SECRET, datatype="FP64", shape=(1, 30), data=b""),)),
        Tensors(inputs=(Tensor(name="x", datatype=SECRET, shape=(1, 30), data=b""),)),
    ],
)
async def test_refusals_quote_nobody(host: Host, pipeline: Any, question: Rows | Tensors) -> None:
    """What is recorded of a refusal holds none of the names and values the caller gave."""
    with pytest.raises(InputRejected) as raised:
        await ask(host(pipeline, NAMES), question)
    assert raised.value.message
    assert SECRET not in str(raised.value)


class Buggy(LinearRegression):
    """An estimator with a bug, whose message quotes the input."""

    def predict(self, X: Any) -> Any:  # noqa: N803 — scikit-learn's name
        raise KeyError(f"no {X}")


async def test_a_bug_in_an_estimator_quotes_nobody(
    host: Host, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its type is recorded; message and traceback stay on the runner's stderr."""
    with pytest.raises(BackendBroken) as raised:
        await ask(host(Buggy().fit(X, Y)), Tensors(inputs=(tensor_of(X[:1]),)))
    assert raised.value.message == "the estimator raised KeyError"
    assert not raised.value.said
    assert "KeyError" in capfd.readouterr().err


async def test_messages_are_rejected(host: Host, pipeline: Any) -> None:
    """An estimator does not chat."""
    with pytest.raises(BackendRejected, match="not messages"):
        await host(pipeline).answer(frames.Turns(messages=(Message("user", "hi"),)))


@pytest.mark.parametrize(
    ("estimator", "features", "labels", "finding"),
    [
        (LogisticRegression(), (), (), "LogisticRegression is not fitted"),
        (StandardScaler().fit(X), (), (), "StandardScaler has no predict"),
        (LinearRegression().fit(X, Y), ("a", "b"), (), "2 are named, the estimator takes 30"),
        (LinearRegression().fit(X, Y), (), ("a",), "labels: this estimator has no classes"),
        (DecisionTreeClassifier().fit(X, Y), (), ("a",), "1 are named, the estimator has 2"),
        (
            MultiOutputClassifier(DecisionTreeClassifier(max_depth=1)).fit(X, np.c_[Y, Y]),
            (),
            (),
            "classifiers of several outputs",
        ),
    ],
)
def test_estimators_that_cannot_be_served_are_refused_at_the_start(
    host: Host, estimator: Any, features: tuple[str, ...], labels: tuple[str, ...], finding: str
) -> None:
    """What would fail on every call fails before the first."""
    with pytest.raises(ManifestError, match=finding):
        host(estimator, features, labels)


# Files


def test_a_file_loads_if_its_types_are_trusted(tmp_path: Path, pipeline: Any) -> None:
    """Types on skops' own list need no word in the manifest."""
    path = tmp_path / "m.skops"
    skops.io.dump(pipeline, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_estimator(path, digest, ())
    assert loaded.predict_proba(X).tobytes() == pipeline.predict_proba(X).tobytes()


def test_untrusted_types_are_listed_with_the_line_to_add(tmp_path: Path) -> None:
    """The file cannot widen the list; the manifest's author is told what it would take."""
    path = tmp_path / "forest.skops"
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    skops.io.dump(forest, path)
    with pytest.raises(ManifestError, match=r"set trust: \[some.Type, sklearn.tree._tree.Tree\]"):
        load_estimator(path, None, ("some.Type",))
    loaded = load_estimator(path, None, ("sklearn.tree._tree.Tree",))
    assert loaded.predict_proba(X).tobytes() == forest.predict_proba(X).tobytes()


def test_the_digest_is_checked_before_anything_else(tmp_path: Path) -> None:
    """A file that is not the one meant is not even looked into."""
    path = tmp_path / "m.skops"
    path.write_bytes(b"PK\x03\x04 not a zip at all")
    with pytest.raises(ManifestError, match="is not the file the manifest means"):
        load_estimator(path, "0" * 64, ())
    with pytest.raises(ManifestError, match="cannot be loaded as a skops file"):
        load_estimator(path, None, ())


# Elements


@given(npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=4)))
def test_lists_of_doubles_become_their_bytes(array: Any) -> None:
    """A JSON list of numbers travels as the same bits that numpy has for it."""
    tensor = Tensor(name="x", datatype="FP64", shape=array.shape, data=array.ravel().tolist())
    assert raw(tensor) == array.tobytes()


@given(st.sampled_from([("INT64", "<i8", 63), ("INT32", "<i4", 31)]), st.integers(-(2**65), 2**65))
def test_integers_fit_or_are_refused(kind: tuple[str, str, int], number: int) -> None:
    """An integer out of the datatype's range is refused, never wrapped around."""
    datatype, dtype, bits = kind
    tensor = Tensor(name="x", datatype=datatype, shape=(1,), data=[number])
    if -(2**bits) <= number < 2**bits:
        assert raw(tensor) == np.array([number], dtype=dtype).tobytes()
    else:
        with pytest.raises(InputRejected) as raised:
            raw(tensor)
        assert f"no {datatype}" in raised.value.said


@pytest.mark.parametrize(
    ("datatype", "shape", "elements", "reason"),
    [
        ("FP64", (2,), [1.0], r"takes 2 elements \(16 bytes\), got 1 \(8\)"),
        ("FP64", (1,), b"1234567", r"takes 1 elements \(8 bytes\), got 0 \(7\)"),
        ("FP64", (-1,), [1.0], "negative"),
        ("FP64", (1,), ["1"], "an element is no FP64"),
        ("FP64", (1,), [True], "true or false among numbers"),
        ("FP64", (1,), [None], "an element is no FP64"),
        ("FP64", (1,), [[1.0]], "an element is no FP64"),
        ("FP32", (1,), [1e39], "an element is no FP32: 1e\\+39 is out of range"),
        ("INT64", (1,), [1.5], "an element is no INT64"),
        ("BOOL", (1,), [1], "1 is neither true nor false"),
        ("FP16", (1,), [1.0], "datatype FP16 is not one of FP64, FP32, INT64, INT32, BOOL"),
    ],
)
def test_elements_of_another_kind_are_rejected(
    datatype: str, shape: tuple[int, ...], elements: list[Json] | bytes, reason: str
) -> None:
    """What does not fit the datatype or the shape says so, with the tensor's name."""
    with pytest.raises(InputRejected, match="an input tensor is not what") as raised:
        raw(Tensor(name="x", datatype=datatype, shape=shape, data=elements))
    assert re.search(f"tensor x: .*{reason}", raised.value.said)


def test_booleans_and_infinities_pass() -> None:
    """True, false and the infinities of floats have their bytes."""
    flags = Tensor(name="x", datatype="BOOL", shape=(2,), data=[True, False])
    assert raw(flags) == b"\1\0"
    infinite = Tensor(name="x", datatype="FP32", shape=(1,), data=[float("inf")])
    assert raw(infinite) == np.array([np.inf], dtype="<f4").tobytes()
