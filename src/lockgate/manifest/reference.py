"""The manifest's reference, `docs/manifest.md`, written from the schema's own words.

Written anew by `python -m lockgate.manifest.reference > docs/manifest.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from lockgate.manifest import units
from lockgate.manifest.findings import CODES
from lockgate.manifest.schema import (
    CacheRung,
    CacheSection,
    Confidence,
    ContractFiles,
    EnvSecret,
    FileSecret,
    FunctionModel,
    Guards,
    Limits,
    LlamaModel,
    Manifest,
    Name,
    OpenAIModel,
    Price,
    Section,
    Serve,
    Service,
    SklearnModel,
    TargetRung,
    Timeouts,
    UncertainRung,
)
from lockgate.manifest.shape import bare, fields, is_section, marker, members, words
from lockgate.manifest.written import parser, written

TITLES: Mapping[type[Section], str] = {
    Manifest: "The whole file",
    Serve: "serve",
    LlamaModel: "models: kind llama",
    OpenAIModel: "models: kind openai",
    SklearnModel: "models: kind sklearn",
    FunctionModel: "models: kind function",
    Price: "models: price",
    Timeouts: "models: timeouts",
    Service: "services",
    TargetRung: "services: ladder: target",
    CacheRung: "services: ladder: cache",
    UncertainRung: "services: ladder: uncertain",
    Confidence: "services: confidence",
    ContractFiles: "services: contract",
    Guards: "services: guards",
    CacheSection: "services: cache",
    Limits: "services: limits",
    EnvSecret: "Secrets: env",
    FileSecret: "Secrets: file",
}
"""Every section in the order of the reference; a test keeps this complete."""

_QUANTITIES: Mapping[object, str] = {
    units.parse_duration: "duration: `250ms`, `8s`, `10m`, `24h`, `7d`, or a number of seconds",
    units.parse_share: "share: `80%` or `0.8`",
    units.parse_bytes: "size: `512KB`, `10MB`, `1MiB`, or a number of bytes",
    units.parse_money: "money: `0.02 USD`",
    units.parse_rate: "money per token: `0.15 USD/1M`, `/1K` or `/token`",
}
_PLAIN: Mapping[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Any: "anything",
}

_INTRO = """\
# The manifest

<!-- Written from the code by `python -m lockgate.manifest.reference`; do not edit. -->

`lockgate.yaml` says what can answer (`models`), what is offered (`services`), and what happens
instead of failing (`ladder`). Everything that is left out has a safe default.

```yaml
version: 1
models:
  small: {kind: llama, file: models/small.gguf}
services:
  assistant: {kind: chat, targets: [small]}
```

* `lockgate init` writes a first one; `lockgate schema --write` teaches it to your editor.
* `lockgate check` finds all that is wrong with it at once; `lockgate check --resolved` prints it
  with every default.
* Unknown keys are errors. A key stands once. Order never matters, except in lists.
* Relative paths start from the manifest's folder; `package:NAME/FILE` is a file in an installed
  Python package.
* Secrets are references: `{env: NAME}` or `{file: PATH}`. A secret in plain sight is an error.
* `environments` holds overlays. `--env NAME` merges one over the rest: mappings key by key,
  anything else as a whole; a model of another `kind` replaces the one before.
"""


def reference() -> str:
    """Write the reference as Markdown."""
    parts = [_INTRO, *(_section(section) for section in TITLES), _codes()]
    return "\n".join(parts)


def _section(section: type[Section]) -> str:
    lines = [f"## {TITLES[section]}", "", _sentence(section.__doc__ or ""), ""]
    lines += ["| key | is | default | meaning |", "|---|---|---|---|"]
    known = sorted(fields(section).items(), key=lambda named: named[0] != "kind")
    lines += [f"| {' | '.join(_row(key, field))} |" for key, field in known]
    return "\n".join(lines) + "\n"


def _row(key: str, field: FieldInfo) -> Iterator[str]:
    yield f"`{key}`"
    yield _QUANTITIES.get(parser(field)) or _type(field.annotation)
    yield _default(field)
    yield _sentence(field.description or "")


def _type(kind: Any) -> str:
    name, kind = kind == Name, bare(kind)
    allowed = words(kind)
    if name or allowed:
        return " or ".join(f"`{word}`" for word in allowed) or "name"
    if len(members(kind)) > 1 or NoneType in get_args(kind):
        return " or ".join(dict.fromkeys(_type(member) for member in members(kind)))
    if is_section(kind):
        title = TITLES[kind]
        anchor = title.lower().replace(":", "").replace(" ", "-")
        name = marker(kind) if kind in (TargetRung, CacheRung, UncertainRung) else title
        return f"[{name.rpartition(': ')[2]}](#{anchor})"
    if get_origin(kind) is tuple:
        return f"list of {_type(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"mapping from {_type(get_args(kind)[0])} to {_type(get_args(kind)[1])}"
    return _PLAIN[kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**needed**"
    if isinstance(field.default, Section):
        return "as there"
    value = written(field.default, field)
    return {None: "none", "": "empty"}.get(value, f"`{value}`") if _is_text(value) else _list(value)


def _is_text(value: object) -> bool:
    return not isinstance(value, list | dict)


def _list(value: Any) -> str:
    return f"`[{', '.join(map(str, value))}]`" if value else "empty"


def _codes() -> str:
    lines = ["## What can be wrong", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in CODES.items()]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    """Bring a docstring to one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
