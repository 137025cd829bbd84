"""Take in a Python function: its source, and the source of what it uses."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import msgspec

from lockgate.manifest import pycode
from lockgate.ship import contracts
from lockgate.ship.card import EXAMPLE, NotShipped, Package


def pack_function(function: FunctionType, name: str, example: object) -> Package:
    """Make a package of a function written with `def`.

    Raises:
        NotShipped: Its source cannot be had, or it uses something that source cannot carry; names
            the variable.
    """
    module = f"{name.replace('-', '_')}_function"
    source = _Collector(function).source()
    try:
        body = contracts.encoded(example)
        schema = contracts.value_schema(msgspec.json.decode(body))
    except TypeError as error:
        raise NotShipped(f"`example` must be an input as JSON: {error}") from error
    chat = isinstance(example, str) or next(iter(inspect.signature(function).parameters), "") == (
        "messages"
    )
    files = {f"{module}.py": source.encode(), EXAMPLE.format(name=name): body}
    service: dict[str, Any] = {}
    if chat:
        files[EXAMPLE.format(name=name)] = contracts.encoded(_chat(name, example))
    else:
        files[f"contracts/{name}-in.schema.json"] = contracts.encoded(schema)
        service["contract"] = {"input": f"contracts/{name}-in.schema.json"}
    call = f"{module}:{function.__name__}"
    kind = "chat" if chat else "predict"
    note = f"the source of {function.__name__} and of what it uses is in {module}.py"
    return Package(kind, {"kind": "function", "call": call}, service, files, (note,))


def _chat(name: str, example: object) -> dict[str, object]:
    said = [{"role": "user", "content": example}] if isinstance(example, str) else example
    return {"model": name, "messages": said}


class _Collector:
    """Collects the source of a function and, in turn, of every global it uses."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        self._imports: list[str] = []
        self._values: list[str] = []
        self._bodies: list[str] = []
        self._seen: set[str] = {function.__name__}

    def source(self) -> str:
        """Write the module: imports, constants, then what the function uses, itself last."""
        self._add(self._function)
        head = ['"""Written by lockgate.ship from a function\'s source."""', ""]
        imports = sorted(dict.fromkeys(self._imports), key=lambda line: "__future__" not in line)
        blocks = ["\n".join([*head, *imports, *self._values]), *self._bodies]
        return "\n\n\n".join(block.strip("\n") for block in blocks) + "\n"

    def _add(self, thing: FunctionType | type[Any]) -> None:
        _demand_open(thing)
        source = _source_of(thing)
        scope = inspect.getmodule(thing)
        known = thing.__globals__ if isinstance(thing, FunctionType) else vars(scope)
        for name in pycode.needed(source):
            if name not in self._seen:
                self._seen.add(name)
                self._need(name, known, thing)
        self._bodies.append(source)

    def _need(self, name: str, known: dict[str, Any], user: FunctionType | type[Any]) -> None:
        if name not in known:
            raise NotShipped(f"`{user.__name__}` uses `{name}`, which is not defined anywhere")
        value = known[name]
        if isinstance(value, ModuleType):
            self._imports.append(f"import {value.__name__} as {name}")
        elif _lives_with(value, user) and isinstance(value, FunctionType | type):
            self._add(value)
        elif _is_importable(value):
            self._imports.append(f"from {value.__module__} import {value.__qualname__} as {name}")
        elif _is_literal(value):
            self._values.append(f"{name} = {value!r}")
        else:
            raise NotShipped(
                f"`{user.__name__}` uses the variable `{name}`, a {type(value).__name__}, which "
                "source cannot carry: load it inside the function, or from a file"
            )


def _demand_open(thing: FunctionType | type[Any]) -> None:
    if isinstance(thing, type):
        return
    if thing.__name__ == "<lambda>":
        raise NotShipped("a lambda has no name to call it by; write it with `def`")
    free = thing.__code__.co_freevars
    if free:
        names = ", ".join(f"`{name}`" for name in free)
        raise NotShipped(
            f"`{thing.__name__}` closes over {names} of the function that made it; "
            "pass them as arguments, or define them at the top level"
        )


def _source_of(thing: Callable[..., Any]) -> str:
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError) as error:
        raise NotShipped(
            f"the source of `{thing.__name__}` cannot be had; define it in a file or a notebook"
        ) from error


def _lives_with(value: object, user: object) -> bool:
    return getattr(value, "__module__", None) == getattr(user, "__module__", "")


def _is_importable(value: object) -> bool:
    """Say whether another process can import *value* by its module and name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    return bool(module) and module != "__main__" and name.isidentifier()


def _is_literal(value: object) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
