"""The runner's side of scikit-learn models: the estimator's own numbers, for rows and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from lockgate.ai.models import frames
from lockgate.ai.models.elements import misfit
from lockgate.ai.models.hosting import Said
from lockgate.ai.models.jsonable import finite
from lockgate.ai.models.threads import Threads
from lockgate.core.errors import (
    BackendBroken,
    BackendError,
    BackendRejected,
    InputRejected,
    ManifestError,
)
from lockgate.core.payload import Json, Rows, Tensor, Tensors, TensorsReply
from lockgate.core.raised import tell

INPUT = "input"
PREDICT = "predict"
PROBABILITIES = "predict_proba"
_TYPES = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4", "BOOL": "?"}
_DATATYPES = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}


class Predicted(msgspec.Struct, frozen=True):
    """What an estimator said about a matrix: one prediction per row, and class probabilities."""

    values: Any
    probabilities: Any | None


class SklearnModel:
    """Asks *estimator*, in threads.

    Args:
        features: Names of its columns, in order.
        labels: What to call its classes in JSON answers; their own names if empty.
        quote: Show on stderr what its exceptions say.
    """

    def __init__(
        self,
        estimator: Any,
        features: Sequence[str],
        labels: Sequence[str],
        threads: Threads,
        *,
        quote: bool = False,
    ) -> None:
        self._estimator = estimator
        self._threads = threads
        self._quote = quote
        self.features = _features(estimator, features)
        self._known = frozenset(self.features)
        self._classes = _classes(estimator)
        self._labels = _labels(self._classes, labels)
        self._is_regressor = _kind(estimator) == "regressor"
        self._gives_probabilities = hasattr(estimator, PROBABILITIES)

    async def answer(self, question: frames.Question) -> Said:
        if isinstance(question, Rows):
            matrix = self._row(question.input)
            predicted = await self._predict(matrix)
            output = self._output(predicted)
            if not finite(output):
                message = "the estimator predicted NaN or an infinity, which JSON does not have"
                raise BackendBroken(message)
            return Said(body=output, probabilities=_surest(predicted))
        if isinstance(question, Tensors):
            return await self._tensors(question)
        raise BackendRejected("a scikit-learn model takes JSON or tensors, not messages")

    def describe(self) -> frames.Described:
        self._threads.refuse_if_all_lost()
        forms = [frames.TensorForm(name=PREDICT, datatype=self._datatype(), shape=(-1,))]
        if self._gives_probabilities:
            shape = (-1, len(self._labels))
            forms.append(frames.TensorForm(name=PROBABILITIES, datatype="FP64", shape=shape))
        taken = frames.TensorForm(name=INPUT, datatype="FP64", shape=(-1, len(self.features)))
        return frames.Described(inputs=(taken,), outputs=tuple(forms))

    def _datatype(self) -> str:
        if self._is_regressor:
            return "FP64"
        return "INT64" if self._classes is None else _datatype_of(self._classes)

    async def _tensors(self, question: Tensors) -> Said:
        names = self._wanted(question.outputs)
        predicted = await self._predict(self._matrix(question.inputs))
        every = {PREDICT: predicted.values, PROBABILITIES: predicted.probabilities}
        outputs = tuple(_tensor(name, every[name]) for name in names)
        return Said(body=TensorsReply(outputs=outputs), probabilities=_surest(predicted))

    def _wanted(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        has = (PREDICT, PROBABILITIES) if self._gives_probabilities else (PREDICT,)
        unknown = [name for name in asked if name not in has]
        if unknown:
            said = f"no output {', '.join(unknown)}; this model gives {', '.join(has)}"
            raise InputRejected("the model does not give all outputs asked for", said=said)
        return asked or has

    def _matrix(self, inputs: tuple[Tensor, ...]) -> Any:
        """View the only input as a matrix; its size was checked by whoever packed it."""
        if len(inputs) != 1:
            raise InputRejected(f"takes one input tensor, got {len(inputs)}")
        (given,) = inputs
        wanted = len(self.features)
        if len(given.shape) != 2 or given.shape[1] != wanted:
            raise misfit(given, f"takes shape [rows, {wanted}], got {list(given.shape)}")
        if given.datatype not in _TYPES or not isinstance(given.data, bytes):
            raise misfit(given, f"datatype {given.datatype} is not taken")
        try:
            flat = np.frombuffer(given.data, dtype=_TYPES[given.datatype])
            return flat.reshape(given.shape).copy()  # some estimators refuse read-only memory
        except ValueError as error:
            raise misfit(given, str(error)) from error

    def _row(self, given: Json) -> Any:
        if not isinstance(given, dict):
            raise InputRejected("takes an object: the name of each feature with its number")
        if given.keys() != self._known:
            raise self._misfit(given)
        values = [given[name] for name in self.features]
        for name, value in zip(self.features, values, strict=True):
            if isinstance(value, list | dict):
                raise InputRejected(f"feature {name} is {type(value).__name__}, not a number")
        mixed = any(isinstance(value, str) for value in values)
        return np.array([values], dtype=np.object_ if mixed else np.float64)

    def _misfit(self, given: dict[str, Json]) -> InputRejected:
        """Say how many features are wrong, and for the caller alone, which."""
        missing = [name for name in self.features if name not in given]
        unknown = [name for name in given if name not in self._known]
        parts = (_listed("missing features", missing), _listed("unknown features", unknown))
        message = f"the input lacks {len(missing)} features and has {len(unknown)} unknown ones"
        return InputRejected(message, said="; ".join(filter(None, parts)))

    async def _predict(self, matrix: Any) -> Predicted:
        outcome = await self._threads.run(self._contained, matrix)
        if isinstance(outcome, BackendError):
            raise outcome
        return outcome

    def _contained(self, matrix: Any) -> Predicted | BackendError:
        """Ask the estimator: a `ValueError` is its way of refusing an input, all else is a bug."""
        try:
            values = np.asarray(self._estimator.predict(matrix))
            if not self._gives_probabilities:
                return Predicted(values, None)
            return Predicted(values, np.asarray(self._estimator.predict_proba(matrix)))
        except ValueError as error:
            said = f"the estimator refused the input: {error}"
            return InputRejected("the estimator refused the input", said=said)
        except Exception as error:  # noqa: BLE001 — the estimator's code is not ours
            tell(error, quote=self._quote)
            return BackendBroken(f"the estimator raised {type(error).__name__}")

    def _output(self, predicted: Predicted) -> Json:
        (value,) = predicted.values.tolist()
        if self._is_regressor:
            return {"value": value}
        if self._classes is None:
            return {"label": value}
        label = self._labels[int(np.flatnonzero(self._classes == predicted.values[0])[0])]
        if predicted.probabilities is None:
            return {"label": label}
        (row,) = predicted.probabilities.tolist()
        named = {str(each): p for each, p in zip(self._labels, row, strict=True)}
        return {"label": label, "probabilities": named}


def _surest(predicted: Predicted) -> tuple[float, ...]:
    if predicted.probabilities is None:
        return ()
    return tuple(predicted.probabilities.max(axis=1).tolist())


def _tensor(name: str, values: Any) -> Tensor:
    datatype = _datatype_of(values)
    shape = tuple(map(int, values.shape))
    if datatype == "BYTES":
        return Tensor(name=name, datatype=datatype, shape=shape, data=values.astype(str).tolist())
    packed = np.ascontiguousarray(values, dtype=_TYPES[datatype]).tobytes()
    return Tensor(name=name, datatype=datatype, shape=shape, data=packed)


def _datatype_of(values: Any) -> str:
    return _DATATYPES.get(values.dtype.kind, "BYTES")


def _kind(estimator: Any) -> str:
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(estimator):
        return "classifier"
    return "regressor" if is_regressor(estimator) else ""


def _features(estimator: Any, named: Sequence[str]) -> tuple[str, ...]:
    """Name the columns: as the manifest does, as the estimator was trained, or x0, x1 ….

    Raises:
        ManifestError: The manifest names another number of columns than the estimator takes.
    """
    if not hasattr(estimator, "predict"):
        finding = f"file: {type(estimator).__name__} has no predict; only models that do can answer"
        raise ManifestError((finding,))
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        finding = f"file: {type(estimator).__name__} is not fitted; fit it before saving it"
        raise ManifestError((finding,))
    if named and len(named) != count:
        finding = f"features: {len(named)} are named, the estimator takes {count}"
        raise ManifestError((finding,))
    if named:
        return tuple(named)
    trained = getattr(estimator, "feature_names_in_", [f"x{i}" for i in range(count)])
    return tuple(map(str, trained))


def _classes(estimator: Any) -> Any | None:
    """Give a classifier's classes, None for other estimators.

    Raises:
        ManifestError: It predicts several outputs at once.
    """
    if _kind(estimator) != "classifier":
        return None
    if isinstance(estimator.classes_, list):
        finding = "file: classifiers of several outputs are not supported; save one per output"
        raise ManifestError((finding,))
    return np.asarray(estimator.classes_)


def _labels(classes: Any | None, named: Sequence[str]) -> tuple[Json, ...]:
    if classes is None:
        if named:
            raise ManifestError(("labels: this estimator has no classes to name",))
        return ()
    if named and len(named) != len(classes):
        finding = f"labels: {len(named)} are named, the estimator has {len(classes)} classes"
        raise ManifestError((finding,))
    return tuple(named or classes.tolist())


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{what}: {', '.join(names[:8])}{more}"
