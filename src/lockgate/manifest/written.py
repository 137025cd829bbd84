"""A manifest's values as a person would write them: durations, shares, sizes and prices as text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from lockgate.manifest.schema import Manifest, Section
from lockgate.manifest.units import WRITERS


def parser(field: FieldInfo) -> object:
    """Give the function that reads a field's quantity; None if it is not a quantity."""
    readers = (part.func for part in field.metadata if isinstance(part, BeforeValidator))
    return next(readers, None)


def written(value: object, field: FieldInfo | None = None) -> Any:
    """Write a value of the manifest; sections become mappings without keys that have no value."""
    if isinstance(value, Section):
        return _section(value)
    if isinstance(value, Mapping):
        return {key: written(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [written(part) for part in value]
    writer: Callable[..., str] | None = WRITERS.get(parser(field)) if field is not None else None
    return value if writer is None or value is None else writer(value)


def resolved(manifest: Manifest) -> dict[str, Any]:
    """Write a whole manifest with every default; overlays are left out, they are merged in."""
    return {key: part for key, part in _section(manifest).items() if key != "environments"}


def _section(section: Section) -> dict[str, Any]:
    """Write a section, `kind` first, as people begin with it."""
    names = sorted(type(section).model_fields, key=lambda name: name != "kind")
    values = ((type(section).model_fields[name], getattr(section, name)) for name in names)
    keys = (type(section).model_fields[name].alias or name for name in names)
    return {
        key: written(value, field)
        for key, (field, value) in zip(keys, values, strict=True)
        if value is not None
    }
