"""Take in a fitted scikit-learn estimator: saved as skops, loaded again, compared bit for bit."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from inspect import isfunction
from typing import Any

from lockgate.core.payload import Json
from lockgate.manifest.units import write_share
from lockgate.ship import contracts
from lockgate.ship.card import EXAMPLE, NotShipped, Package
from lockgate.ship.examples import Examples, examples_of

_UNCERTAIN = {"uncertain": {"label": None, "reason": "not certain"}}


@dataclass(frozen=True, slots=True)
class _Traits:
    """What an estimator is like.

    Attributes:
        labels: What its classes are called; empty unless it is a classifier.
        knows_features: It was fitted with names of features.
    """

    features: tuple[str, ...]
    labels: tuple[Json, ...]
    is_regressor: bool
    gives_probabilities: bool
    knows_features: bool


def is_estimator(model: object) -> bool:
    """Say whether *model* is a scikit-learn estimator, without importing scikit-learn."""
    return not isinstance(model, type) and all(
        callable(getattr(model, name, None)) for name in ("fit", "get_params")
    )


def pack_estimator(
    model: Any,
    name: str,
    example: object,
    labels: Sequence[object] | None,
    at_least: float | None,
) -> Package:
    """Make a package of a fitted estimator.

    Raises:
        NotShipped: It is not fitted, does not fit the example, cannot be saved, or predicts
            something else once it is loaded again.
    """
    _demand_fitted(model)
    _demand_named_functions(model)
    examples = examples_of(example)
    traits = _traits(model, examples, labels)
    if at_least is not None and not traits.gives_probabilities:
        raise NotShipped("`at_least` needs a classifier with predict_proba; this one has none")
    examples = examples.ordered(traits.features)
    content, trust = _saved(model)
    given = contracts.features_schema(examples)
    _demand_same(model, content, trust, examples)
    return Package(
        kind="predict",
        model=_model(name, content, trust, traits, named=labels is not None),
        service=_service(name, traits, at_least),
        files={
            f"models/{name}.skops": content,
            f"contracts/{name}-in.schema.json": contracts.encoded(given),
            f"contracts/{name}-out.schema.json": contracts.encoded(_output(traits, at_least)),
            EXAMPLE.format(name=name): contracts.encoded(examples.first()),
        },
        notes=_notes(trust, len(examples.rows)),
    )


def _demand_fitted(model: Any) -> None:
    try:
        from sklearn.exceptions import NotFittedError
        from sklearn.utils.validation import check_is_fitted
    except ImportError as error:
        raise NotShipped("scikit-learn is missing: pip install 'lockgate[sklearn]'") from error
    if not hasattr(model, "predict"):
        raise NotShipped(f"{type(model).__name__} has no predict; only models that have can answer")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise NotShipped(f"{type(model).__name__} is not fitted: call fit first") from error


def _demand_named_functions(model: Any) -> None:
    """Refuse functions that another process cannot import, at whatever step they are."""
    for key, value in model.get_params(deep=True).items():
        if not isfunction(value):
            continue
        name, where = value.__name__, f"`{key}`"
        step = key.rpartition("__")[0]
        if step:
            where = f"`{key.rpartition('__')[2]}` of the step `{step}`"
        if name == "<lambda>" or value.__module__ == "__main__" or "<locals>" in value.__qualname__:
            what = "a lambda" if name == "<lambda>" else f"the function `{name}`"
            raise NotShipped(
                f"{where} is {what}, which the served model could not import: write it with "
                "`def` in a module beside the manifest, import it from there, and fit again"
            )


def _traits(model: Any, examples: Examples, labels: Sequence[object] | None) -> _Traits:
    from sklearn.base import is_classifier, is_regressor

    features, knows = _features(model, examples)
    return _Traits(
        features=features,
        labels=_labels(model, labels) if is_classifier(model) else _no_labels(labels),
        is_regressor=is_regressor(model),
        gives_probabilities=is_classifier(model) and hasattr(model, "predict_proba"),
        knows_features=knows,
    )


def _features(model: Any, examples: Examples) -> tuple[tuple[str, ...], bool]:
    count = getattr(model, "n_features_in_", None)
    if count is None:
        raise NotShipped(f"{type(model).__name__} does not say how many features it takes")
    trained = getattr(model, "feature_names_in_", None)
    plain = [f"x{i}" for i in range(count)]
    names = tuple(map(str, trained)) if trained is not None else examples.columns or tuple(plain)
    width = len(examples.columns) or len(examples.rows[0])
    if width != count:
        raise NotShipped(f"the model takes {count} features, `example` has {width}")
    if examples.columns and set(examples.columns) != set(names):
        missing = [name for name in names if name not in examples.columns]
        raise NotShipped(f"`example` lacks features of the model: {', '.join(missing[:8])}")
    return names, trained is not None


def _labels(model: Any, labels: Sequence[object] | None) -> tuple[Json, ...]:
    if isinstance(model.classes_, list):
        raise NotShipped("a classifier of several outputs at once; ship one for each output")
    classes = model.classes_.tolist()
    if labels is None:
        return tuple(classes)
    if len(labels) != len(classes):
        raise NotShipped(
            f"`labels` names the classes, in their order: {len(labels)} are named, "
            f"the model has {len(classes)}: {', '.join(map(str, classes[:8]))}"
        )
    return tuple(map(str, labels))


def _no_labels(labels: Sequence[object] | None) -> tuple[Json, ...]:
    if labels is not None:
        raise NotShipped("`labels` names classes, and this model is not a classifier")
    return ()


def _saved(model: Any) -> tuple[bytes, list[str]]:
    """Save as skops; give the bytes and the types beyond skops' own list of trusted ones."""
    try:
        import skops.io as skops
    except ImportError as error:
        raise NotShipped("skops is missing: pip install 'lockgate[sklearn]'") from error
    try:
        content: bytes = skops.dumps(model)
        return content, sorted(skops.get_untrusted_types(data=content))
    except Exception as error:
        # skops raises whatever the parts of an estimator raise when they are taken apart
        raise NotShipped(f"{type(model).__name__} cannot be saved as skops: {error}") from error


def _demand_same(model: Any, content: bytes, trust: Sequence[str], examples: Examples) -> None:
    """Make sure that the saved model predicts the same as the one in memory, bit for bit."""
    import skops.io as skops

    try:
        loaded = skops.loads(content, trusted=list(trust))
        same = _answers(model, examples) == _answers(loaded, examples)
    except Exception as error:
        raise NotShipped(
            f"the model cannot be asked with plain rows, as Lockgate will: {error}"
        ) from error
    if not same:
        raise NotShipped(
            f"{type(model).__name__} predicts something else once it was saved and loaded; "
            "does it keep state outside its attributes, or draw random numbers to predict?"
        )


def _answers(model: Any, examples: Examples) -> tuple[bytes | list[Any], bytes]:
    """Ask as a runner asks: an array of numbers, or of objects where there is text."""
    import numpy as np

    mixed = any(isinstance(cell, str) for row in examples.rows for cell in row)
    matrix = np.array(examples.rows, dtype=np.object_ if mixed else np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "X does not have valid feature names": order is kept
        values = np.asarray(model.predict(matrix))
        chances = model.predict_proba(matrix) if hasattr(model, "predict_proba") else ()
    exact = values.tolist() if values.dtype.hasobject else values.tobytes()
    return exact, np.asarray(chances).tobytes()


def _model(
    name: str, content: bytes, trust: Sequence[str], traits: _Traits, *, named: bool
) -> dict[str, Any]:
    model: dict[str, Any] = {
        "kind": "sklearn",
        "file": f"models/{name}.skops",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if trust:
        model["trust"] = list(trust)
    if not traits.knows_features and traits.features[:1] != ("x0",):
        model["features"] = list(traits.features)
    if named:
        model["labels"] = list(traits.labels)
    return model


def _service(name: str, traits: _Traits, at_least: float | None) -> dict[str, Any]:
    service: dict[str, Any] = {
        "contract": {
            "input": f"contracts/{name}-in.schema.json",
            "output": f"contracts/{name}-out.schema.json",
        }
    }
    if traits.gives_probabilities:
        service["confidence"] = {"signal": "probability"}
    if at_least is not None:
        service["confidence"]["at_least"] = write_share(at_least)
        service["ladder"] = [_UNCERTAIN]
    return service


def _output(traits: _Traits, at_least: float | None) -> dict[str, Any]:
    if traits.is_regressor:
        return contracts.number_schema()
    if not traits.labels:
        return contracts.label_schema()
    return contracts.classes_schema(
        traits.labels,
        with_probabilities=traits.gives_probabilities,
        may_be_uncertain=at_least is not None,
    )


def _notes(trust: Sequence[str], count: int) -> tuple[str, ...]:
    rows = "1 example" if count == 1 else f"{count} examples"
    same = f"saved, loaded again, and the same predictions for {rows}, bit for bit"
    if not trust:
        return (same,)
    return (same, f"the manifest trusts types beyond skops' own list: {', '.join(trust)}")
