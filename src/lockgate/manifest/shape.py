"""What the schema expects at a place, with unions decided by what was written there.

pydantic tries every member of a union and reports on all of them; a person meant one. Which one
shows in `kind`, or in the key that only that member needs.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from lockgate.manifest.place import Node, Trace
from lockgate.manifest.schema import Manifest, Section


@dataclass(frozen=True, slots=True)
class Spot:
    """A place, what is expected there, and whether a union there could not be decided."""

    trace: Trace
    expected: Any
    undecided: bool = False


def is_section(kind: Any) -> TypeGuard[type[Section]]:
    """Say whether a type is a section of the manifest."""
    return isinstance(kind, type) and issubclass(kind, Section)


def fields(section: type[Section]) -> Mapping[str, FieldInfo]:
    """Give a section's fields under the names that the manifest uses."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def members(kind: Any) -> tuple[Any, ...]:
    """Give the members of a union, other than None; the type itself if it is none."""
    kind = bare(kind)
    if get_origin(kind) not in (Union, types.UnionType):
        return (kind,)
    return tuple(m for part in get_args(kind) if part is not type(None) for m in members(part))


def bare(kind: Any) -> Any:
    """Take `Annotated` off a type."""
    return bare(get_args(kind)[0]) if get_origin(kind) is Annotated else kind


def marker(section: type[Section]) -> str:
    """Give the key by which a section is told from the others of its union."""
    required = (name for name, field in fields(section).items() if field.is_required())
    return next(required, "")


def words(kind: Any) -> tuple[str, ...]:
    """Give the words that a type allows, if it is a list of words."""
    return tuple(str(word) for word in get_args(kind)) if get_origin(kind) is Literal else ()


def kinds_of(section: Any) -> tuple[str, ...]:
    """Give the words of a section's `kind`; none if it has no such key."""
    field = section.model_fields.get("kind")
    return words(field.annotation) if field is not None else ()


def decide(kind: Any, node: Node | None) -> Any:
    """Give the member of a union that *node* was meant to be; None if that cannot be told."""
    choices = members(kind)
    if len(choices) == 1 or node is None:
        return choices[0]
    fitting = [choice for choice in choices if _fits(choice, node)]
    return fitting[0] if len(fitting) == 1 else None


def follow(steps: Sequence[str | int], root: Node) -> Spot | None:
    """Turn pydantic's location into a place; None if it is about a member that was not meant."""
    kind: Any = Manifest
    trace: Trace = ()
    rest = list(steps)
    while True:
        meant = decide(kind, root.find(*trace))
        if meant is None and rest != ["[key]"]:
            return Spot(trace, kind, undecided=True)
        if rest == ["[key]"]:
            return Spot(trace, kind)
        if len(members(kind)) > 1 and rest and not _is_tag(rest.pop(0), meant):
            return None
        kind = meant
        if not rest:
            return Spot(trace, kind)
        step = rest.pop(0)
        trace, kind = (*trace, step), _below(kind, step)


def section_at(trace: Trace, root: Node) -> Any:
    """Give the type expected at *trace*, unions decided; None if one cannot be."""
    kind: Any = Manifest
    for depth, step in enumerate(trace):
        kind = _below(decide(kind, root.find(*trace[:depth])), step)
    return decide(kind, root.find(*trace))


def _below(kind: Any, step: str | int) -> Any:
    if is_section(kind):
        field = fields(kind).get(str(step))
        return Any if field is None else field.annotation
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    return arguments[0] if get_origin(kind) is tuple else Any


def _fits(choice: Any, node: Node) -> bool:
    if is_section(choice):
        found, kinds = node.part("kind"), kinds_of(choice)
        if kinds:
            return found is not None and found.value in kinds
        return marker(choice) in node.entries
    if choice is str or words(choice):
        return node.text is not None
    return get_origin(choice) is dict and isinstance(node.value, Mapping)


def _is_tag(tag: str | int, meant: Any) -> bool:
    """Say whether pydantic's tag for a union's member stands for *meant*."""
    if is_section(meant):
        return tag in (meant.__name__, *kinds_of(meant))
    name = {dict: "dict[", Literal: "literal["}.get(get_origin(meant), "str")
    return str(tag).startswith(name)
