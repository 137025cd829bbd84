"""JSON Schema of the manifest, for completion and checks in editors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from lockgate.manifest.schema import Manifest, Section
from lockgate.manifest.shape import fields, is_section, members
from lockgate.manifest.written import written


def json_schema() -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of `lockgate.yaml`, defaults in their human form."""
    schema = Manifest.model_json_schema(by_alias=True)
    for section in sections(Manifest):
        shown = schema if section is Manifest else schema["$defs"][section.__name__]
        for key, field in fields(section).items():
            if "default" in shown["properties"][key]:
                shown["properties"][key]["default"] = written(field.default, field)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Lockgate's manifest",
    }


def sections(kind: Any) -> Iterator[type[Section]]:
    """List the sections that a type is made of, itself first, each once."""
    yield from dict.fromkeys(_sections(kind))


def _sections(kind: Any) -> Iterator[type[Section]]:
    for member in members(kind):
        if is_section(member):
            yield member
            for field in member.model_fields.values():
                yield from _sections(field.annotation)
        else:
            for part in get_args(member):
                yield from _sections(part)
