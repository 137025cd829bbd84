"""Adds a model and its service to a manifest, new or existing, comments and order kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from lockgate.core.errors import LockgateError, ManifestError
from lockgate.manifest.load import load

_HEADER = """\
# Next: lockgate check · lockgate key create --tenant me · lockgate serve
# Every key is explained in docs/manifest.md
"""


class NotAdded(LockgateError):
    """The manifest already has something else under this name."""

    code = "not_added"


@dataclass(frozen=True, slots=True)
class Part:
    """A model and the service that offers it, both under one name, as the manifest writes them."""

    name: str
    model: Mapping[str, Any]
    service: Mapping[str, Any]


def drafted(path: Path, part: Part, environ: Mapping[str, str]) -> str:
    """Give the text of the manifest at *path* with *part* in it; a new one if there is none.

    A model of this name is replaced. A service of this name keeps the keys that *part* does not
    have, so that what was tuned by hand survives.

    Raises:
        NotAdded: The name belongs to another kind of model, or to a service of other models.
        ManifestError: The manifest that is there is wrong.
    """
    if not path.exists():
        return _new(part)
    load(path, environ=environ)
    return _merged(path.read_text("utf-8"), part)


def put(path: Path, text: str, environ: Mapping[str, str]) -> None:
    """Write a manifest; it replaces the one at *path* only if it is right.

    Raises:
        ManifestError: It is not.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    try:
        load(beside, environ=environ)
        beside.replace(path)
    except ManifestError as error:
        findings = tuple(said.replace(str(beside), str(path)) for said in error.findings)
        raise ManifestError(findings) from error
    finally:
        beside.unlink(missing_ok=True)


def _new(part: Part) -> str:
    whole = {
        "version": 1,
        "project": part.name,
        "models": {part.name: part.model},
        "services": {part.name: part.service},
    }
    return _HEADER + _dumped(_styled(whole))


def _merged(text: str, part: Part) -> str:
    document = _yaml().load(text)
    models, services = document["models"], document["services"]
    _refuse_others(models.get(part.name), services.get(part.name), part)
    models[part.name] = _styled(part.model)
    if part.name in services:
        services[part.name].update(_styled(part.service))
    else:
        services[part.name] = _styled(part.service)
    return _dumped(document)


def _refuse_others(model: Any, service: Any, part: Part) -> None:
    if model is not None and model.get("kind") != part.model["kind"]:
        raise NotAdded(
            f"the manifest has a model `{part.name}` of kind {model.get('kind')}; "
            "choose another name, or remove it first"
        )
    if service is not None and part.name not in service.get("targets", ()):
        raise NotAdded(
            f"the manifest has a service `{part.name}` that asks other models; "
            "choose another name, or remove it first"
        )


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(document: Any) -> str:
    stream = StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def _styled(value: Any, depth: int = 0) -> Any:
    """Turn plain values into ruamel's, small lists and mappings in one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, Mapping):
        styled: Any = CommentedMap({key: _styled(part, depth + 1) for key, part in value.items()})
    elif isinstance(value, list | tuple):
        styled = CommentedSeq([_styled(part, depth + 1) for part in value])
    else:
        return value
    if len(str(value)) < 72 and not _holds(value, dict):
        styled.fa.set_flow_style()
    return styled


def _holds(value: Any, kind: type) -> bool:
    parts = value.values() if isinstance(value, Mapping) else value
    return any(isinstance(part, kind) for part in parts)
