"""JSON Schemas of what goes in and what comes out, as examples and the estimator show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from lockgate.core.payload import Json
from lockgate.ship.examples import Examples

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def features_schema(examples: Examples) -> dict[str, Any]:
    """Describe an object of features, each of the type that the examples have."""
    forms = {name: {"type": _types(examples.column(name))} for name in examples.columns}
    return _object(forms, examples.columns) | {"examples": [examples.first()]}


def value_schema(example: Json) -> dict[str, Any]:
    """Describe a function's input by one example: its type, and the keys of an object."""
    if isinstance(example, dict):
        forms = {str(key): {"type": _types([part])} for key, part in example.items()}
        return {"$schema": _DIALECT, "type": "object", "properties": forms, "examples": [example]}
    return {"$schema": _DIALECT, "type": _types([example]), "examples": [example]}


def classes_schema(
    labels: Sequence[Json], *, with_probabilities: bool, may_be_uncertain: bool
) -> dict[str, Any]:
    """Describe a classifier's answer, and the honest one that names no class."""
    allowed = [*labels, None] if may_be_uncertain else list(labels)
    forms: dict[str, Any] = {"label": {"enum": allowed}}
    if with_probabilities:
        shares = {str(label): _SHARE for label in labels}
        forms["probabilities"] = _object(shares, tuple(shares), dialect=False)
    if may_be_uncertain:
        forms["reason"] = {"type": "string"}
    return _object(forms, ("label",))


def number_schema() -> dict[str, Any]:
    """Describe a regressor's answer."""
    return _object({"value": {"type": "number"}}, ("value",))


def label_schema() -> dict[str, Any]:
    """Describe the answer of an estimator that is neither classifier nor regressor."""
    return _object({"label": {"type": ["number", "string", "boolean"]}}, ("label",))


def encoded(value: object) -> bytes:
    """Write JSON for people: two spaces, a line end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _object(forms: Any, required: Iterable[str], *, dialect: bool = True) -> dict[str, Any]:
    return {
        **({"$schema": _DIALECT} if dialect else {}),
        "type": "object",
        "properties": forms,
        "required": list(required),
        "additionalProperties": False,
    }


def _types(values: Sequence[Json]) -> str | list[str]:
    """Name the JSON types of *values*; whole numbers are numbers, 1 may be 1.5 tomorrow."""
    found = list(dict.fromkeys(_type(value) for value in values))
    return found[0] if len(found) == 1 else found


def _type(value: Json) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]
