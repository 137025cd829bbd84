"""What pydantic says about a manifest, as findings that a person can act on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lockgate.manifest.findings import Finding, listed, meant, said
from lockgate.manifest.place import Node, Span, Trace, plain
from lockgate.manifest.schema import Manifest
from lockgate.manifest.shape import (
    Spot,
    fields,
    follow,
    is_section,
    kinds_of,
    members,
    section_at,
    words,
)

_FORMS: Mapping[str, str] = {
    "sha256": "a digest is 64 hexadecimal digits, as `sha256sum FILE` prints them",
    "url": "a URL begins with `http://` or `https://`",
    "call": "write `module:function`, e.g. `app:answer`",
}
_NAME = "a name is lower-case letters, digits, `-` and `_`, and begins with a letter"
_REFERENCE = "write `{env: NAME}` or `{file: PATH}`"
_RUNG = "a rung is `{target: NAME}`, `{cache: stale}` or `{uncertain: …}`, and only one of them"
_GUARD = "write a name like `secrets`, or `{secrets: refuse}`"
_TYPES: Mapping[str, str] = {
    "string": "text; put it in quotes if it looks like a number or is `true` or `null`",
    "int": "a whole number",
    "float": "a number",
    "bool": "`true` or `false`",
    "tuple": "a list: `[a, b]`",
    "list": "a list: `[a, b]`",
    "dict": "a mapping: `key: value`",
    "model": "a mapping: `key: value`",
}


@dataclass(frozen=True, slots=True)
class Form:
    """A manifest's form.

    Attributes:
        manifest: The manifest, if nothing is wrong with its form.
        findings: What is wrong.
        surplus: Traces of keys that are not known.
        unclear: Traces of values that could not be understood.
    """

    manifest: Manifest | None
    findings: tuple[Finding, ...]
    surplus: tuple[Trace, ...] = ()
    unclear: tuple[Trace, ...] = ()


def validate(root: Node) -> Form:
    """Check the form of everything below *root*."""
    try:
        return Form(Manifest.model_validate(plain(root)), ())
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    faults: dict[tuple[Trace, str], _Fault] = {}
    for detail in details:
        spot = follow(detail["loc"], root)
        if spot is not None:
            kind = "" if spot.undecided else detail["type"]
            faults.setdefault((spot.trace, kind), _Fault(spot, detail, root))
    findings = [_finding(fault) for fault in faults.values()]
    surplus = tuple(trace for trace, kind in faults if kind == "extra_forbidden")
    unclear = tuple(trace for trace, kind in faults if kind != "extra_forbidden")
    return Form(None, tuple(f for f in findings if f is not None), surplus, unclear)


@dataclass(frozen=True, slots=True)
class _Fault:
    """One of pydantic's errors, at the place that it is about."""

    spot: Spot
    detail: ErrorDetails
    root: Node

    @property
    def node(self) -> Node:
        return self.root.nearest(self.spot.trace)

    @property
    def last(self) -> str:
        """The last key on the way: an index says nothing to a person."""
        return next((step for step in reversed(self.spot.trace) if isinstance(step, str)), "")

    @property
    def written(self) -> str:
        value = self.node.value
        if value is None or isinstance(value, bool):
            return {None: "nothing", True: "`true`", False: "`false`"}[value]
        if isinstance(value, str | int | float):
            return f"`{str(value)[:60]}`"
        return "a list" if self.node.items or value == [] else "a mapping"

    def says(self, code: str, message: str, *advice: str) -> Finding:
        return Finding(code, self.node.spot, message, said(*advice))


def _finding(fault: _Fault) -> Finding | None:
    kind = fault.detail["type"]
    if fault.detail["loc"][-1:] == ("[key]",):
        return _bad_key(fault)
    if kind.startswith("union_tag"):
        return _bad_kind(fault)
    if fault.spot.undecided:
        return _undecided(fault)
    return _SAYINGS.get(kind, _wrong_type)(fault)


def _bad_key(fault: _Fault) -> Finding:
    if fault.detail["type"] == "literal_error":
        return _one_of(fault.last, _known_keys(fault), fault.node.name)
    return Finding("LG1016", fault.node.name, f"`{fault.last}` cannot be a name", _NAME)


def _known_keys(fault: _Fault) -> tuple[str, ...]:
    """Give the words that a mapping's keys may be, as pydantic lists them: `'a', 'b' or 'c'`."""
    return tuple(re.findall(r"'([^']*)'", str(fault.detail.get("ctx", {}).get("expected", ""))))


def _bad_kind(fault: _Fault) -> Finding:
    kinds = tuple(word for choice in members(fault.spot.expected) for word in kinds_of(choice))
    kind = fault.node.part("kind")
    if kind is None:
        advice = f"a model is of kind {listed(kinds)}"
        return Finding("LG1011", fault.node.name, f"`kind` is missing in `{fault.last}`", advice)
    return _one_of(str(plain(kind)), kinds, kind.spot)


def _undecided(fault: _Fault) -> Finding | None:
    choices = members(fault.spot.expected)
    sections = [choice for choice in choices if is_section(choice)]
    keys = [key for choice in sections for key in fields(choice)]
    close = next((close for key in fault.node.entries if (close := meant(key, keys))), "")
    if "env" in keys:
        if fault.node.value is not None and not fault.node.entries and fault.last == "key":
            return None  # a literal secret, which is a finding of its own
        return fault.says(
            "LG1012", f"`{fault.last}` is not a reference to a secret", close, _REFERENCE
        )
    if sections:
        return fault.says("LG1012", "this is not a rung", close, _RUNG)
    if fault.last in ("in", "out"):
        return fault.says("LG1012", f"{fault.written} is not a guard", _GUARD)
    return fault.says("LG1012", f"`{fault.last}` is {fault.written}", "write text or a mapping")


def _missing(fault: _Fault) -> Finding:
    *above, name = fault.spot.trace
    section = fault.root.nearest(tuple(above))
    where = next((f" in `{step}`" for step in reversed(above) if isinstance(step, str)), "")
    about = _description(fault, tuple(above), str(name))
    return Finding("LG1011", section.name, f"`{name}` is missing{where}", about)


def _unknown(fault: _Fault) -> Finding:
    above = _keys_of(fault, fault.spot.trace[:-1])
    close = meant(fault.last, above)
    advice = close or f"known here: {', '.join(f'`{key}`' for key in above)}"
    return Finding("LG1010", fault.node.name, f"unknown key `{fault.last}`", advice)


def _keys_of(fault: _Fault, above: Trace) -> tuple[str, ...]:
    """Give the keys that the section at *above* knows."""
    kind = section_at(above, fault.root)
    return tuple(fields(kind)) if is_section(kind) else ()


def _description(fault: _Fault, above: Trace, name: str) -> str:
    kind = section_at(above, fault.root)
    field = fields(kind).get(name) if is_section(kind) else None
    return " ".join((field.description or "").split()) if field is not None else ""


def _bad_word(fault: _Fault) -> Finding:
    allowed = words(fault.spot.expected)
    value = fault.node.value
    if not isinstance(value, str | int | float):
        return fault.says(
            "LG1012", f"`{fault.last}` is {fault.written}", f"write {listed(allowed)}"
        )
    return _one_of(str(value), allowed, fault.node.spot)


def _one_of(word: str, allowed: tuple[str, ...], at: Span) -> Finding:
    close = meant(word, allowed)
    message = f"`{word[:60]}` is not known here"
    return Finding("LG1013", at, message, said(close, f"It is {listed(allowed)}."))


def _quantity(fault: _Fault) -> Finding:
    message = fault.detail["msg"].removeprefix("Value error, ")
    problem, _, advice = message.partition("; ")
    return fault.says("LG1015", f"`{fault.last}`: {problem}", advice)


def _pattern(fault: _Fault) -> Finding:
    advice = _FORMS.get(fault.last, _NAME)
    return fault.says("LG1016", f"{fault.written} does not have the form of `{fault.last}`", advice)


def _bounds(fault: _Fault) -> Finding:
    demand = fault.detail["msg"].removeprefix("Input should be ")
    return fault.says("LG1014", f"`{fault.last}` is {fault.written}", f"it must be {demand}")


def _empty(fault: _Fault) -> Finding:
    return fault.says("LG1014", f"`{fault.last}` is empty", "it needs at least one entry")


def _wrong_type(fault: _Fault) -> Finding:
    kind = fault.detail["type"]
    wanted = next(
        (text for key, text in _TYPES.items() if kind.startswith(key)), fault.detail["msg"]
    )
    if fault.node.value is None and fault.last:
        message = f"`{fault.last}` has no value"
        return fault.says("LG1012", message, f"write {wanted}, or leave the key out")
    name = f"`{fault.last}` is" if fault.last else "this is"
    return fault.says("LG1012", f"{name} {fault.written}", f"write {wanted}")


_SAYINGS: Mapping[str, Callable[[_Fault], Finding]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "literal_error": _bad_word,
    "value_error": _quantity,
    "string_pattern_mismatch": _pattern,
    "greater_than_equal": _bounds,
    "greater_than": _bounds,
    "less_than_equal": _bounds,
    "too_short": _empty,
}
