"""Which function of a Python source is the prototype."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lockgate.core.errors import LockgateError
from lockgate.manifest import pycode

MARK = re.compile(r"#\s*lockgate:\s*(predict|chat)\b", re.IGNORECASE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


class NoPrototype(LockgateError):
    """The file cannot be made a service; says why and what to do."""

    code = "no_prototype"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The function that answers, and what kind of service it makes."""

    name: str
    kind: Literal["chat", "predict"]


def choose(source: str, file: str, name: str = "") -> Chosen:
    """Find the function: the one named, the one marked `# lockgate: predict`, or the only one.

    A service is `chat` if the mark says so or the first parameter is called `messages`.

    Raises:
        NoPrototype: There is none, or more than one could be meant.
    """
    try:
        functions = pycode.functions(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise NoPrototype(f"{file}{line}: this is not Python: {error}") from error
    marks = _marks(source, functions)
    function = _named(functions, file, name) if name else _meant(functions, marks, file)
    is_chat = marks.get(function.name) == "chat" or pycode.first_parameter(function) == "messages"
    return Chosen(function.name, "chat" if is_chat else "predict")


def _marks(source: str, functions: Sequence[Function]) -> dict[str, str]:
    """Give the mark of every marked function: in it, on it, or above it."""
    marks: dict[str, str] = {}
    for number, line in enumerate(source.splitlines(), 1):
        mark = MARK.search(line)
        if mark is None:
            continue
        below = (one for one in functions if (one.end_lineno or one.lineno) >= number)
        function = next(below, None)
        if function is not None:
            marks[function.name] = mark[1].lower()
    return marks


def _named(functions: Sequence[Function], file: str, name: str) -> Function:
    for function in functions:
        if function.name == name:
            return function
    raise NoPrototype(f"{file} does not define a function `{name}`; it has {_listed(functions)}")


def _meant(functions: Sequence[Function], marks: dict[str, str], file: str) -> Function:
    marked = [function for function in functions if function.name in marks]
    public = [function for function in functions if not function.name.startswith("_")]
    candidates = marked or public
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise NoPrototype(f"{file} defines no public function; write one that takes the input")
    named = f", or name it: --from {file}:{candidates[0].name}" if file.endswith(".py") else ""
    raise NoPrototype(
        f"{file} has several functions that could be meant, {_listed(candidates)}; "
        f"write `# lockgate: predict` above one of them, and only there{named}"
    )


def _listed(functions: Sequence[Function]) -> str:
    return ", ".join(f"`{function.name}`" for function in functions) or "none"
