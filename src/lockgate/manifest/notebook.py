"""Takes the cells that answer out of a notebook, as Python source.

A cell is taken if it is tagged `lockgate` or `predict`, or has a comment `# lockgate: predict`.
Imports that it needs come along from other cells; anything else it needs is named, with its cell.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.manifest import pycode
from lockgate.manifest.marked import MARK, NoPrototype

_TAGS = frozenset({"lockgate", "predict"})
_MAGIC = re.compile(r"^([ \t]*)([%!?].*|[\w.]+\?+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Taken:
    """Python source from a notebook, and where it came from."""

    source: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Cell:
    """A code cell; counted from 1 among all cells, as a reader counts them."""

    number: int
    source: str
    is_tagged: bool


def take(text: str, file: str) -> Taken:
    """Take the marked cells of a notebook.

    Raises:
        NoPrototype: It is no notebook, no cell is marked, or they need what other cells compute.
    """
    cells = tuple(_cells(text, file))
    taken = [cell for cell in cells if cell.is_tagged or MARK.search(cell.source)]
    if not taken:
        raise NoPrototype(
            f"no cell of {file} is marked: tag one `lockgate`, or write `# lockgate: predict` "
            "above the function that answers"
        )
    body = "\n\n\n".join(cell.source.strip() for cell in taken)
    needed = _needed(body, file, taken)
    others = [cell for cell in cells if cell not in taken]
    imports = _imports(others, needed)
    missing = [name for name in needed if name not in imports]
    if missing:
        raise NoPrototype(_missing(missing, others, file))
    head = f"# From the notebook {json.dumps(file)}; written by `lockgate init`."
    lines = "\n".join(dict.fromkeys(imports[name] for name in needed))
    numbers = ", ".join(str(cell.number) for cell in taken)
    notes = (f"took cell {numbers} of {file}", *_carried(imports, needed))
    return Taken("\n\n".join(part for part in (head, lines, body) if part) + "\n", notes)


def _cells(text: str, file: str) -> Iterable[_Cell]:
    try:
        content = json.loads(text)
        sheets = content.get("worksheets") or [content]
        cells: list[Any] = [cell for sheet in sheets for cell in sheet["cells"]]
        for number, cell in enumerate(cells, 1):
            if cell["cell_type"] == "code":
                source = cell["source"] if "source" in cell else cell["input"]
                tags = cell.get("metadata", {}).get("tags", ())
                yield _Cell(number, _python("".join(source)), bool(_TAGS.intersection(tags)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoPrototype(f"{file} is not a notebook: {error}") from error


def _python(source: str) -> str:
    """Comment out what only a notebook understands: `%magics`, `!commands`, `?help`."""
    if _statements(source):
        return source
    if source.lstrip().startswith("%%"):
        return re.sub(r"^", "# ", source, flags=re.MULTILINE)
    return _MAGIC.sub(
        lambda line: f"{line[1]}pass  # {line[2]}" if line[1] else f"# {line[2]}", source
    )


def _needed(body: str, file: str, taken: Sequence[_Cell]) -> tuple[str, ...]:
    try:
        return pycode.needed(body)
    except (SyntaxError, ValueError, RecursionError) as error:
        numbers = ", ".join(str(cell.number) for cell in taken)
        raise NoPrototype(f"{file}, cell {numbers}: this is not Python: {error}") from error


def _imports(cells: Iterable[_Cell], needed: Sequence[str]) -> Mapping[str, str]:
    """Give the import statements of other cells, by the name that each binds."""
    statements = (statement for cell in cells for statement in _statements(cell.source))
    found = {
        name.asname or name.name.partition(".")[0]: _single(statement, name)
        for statement in statements
        if isinstance(statement, ast.Import | ast.ImportFrom)
        for name in statement.names
    }
    return {name: line for name, line in found.items() if name in needed}


def _single(statement: ast.Import | ast.ImportFrom, name: ast.alias) -> str:
    alone: ast.stmt = ast.Import(names=[name])
    if isinstance(statement, ast.ImportFrom):
        alone = ast.ImportFrom(statement.module, names=[name], level=statement.level)
    return ast.unparse(alone)


def _statements(source: str) -> Sequence[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return ()  # a cell that is not taken may hold anything


def _missing(names: Sequence[str], cells: Sequence[_Cell], file: str) -> str:
    lines = [f"the marked cells of {file} use what they do not define:"]
    for name in names:
        where = [cell.number for cell in cells if name in _defined(cell.source)]
        place = f"cell {where[-1]} defines it" if where else "no cell defines it"
        lines.append(f"  `{name}`: {place}")
    lines.append(
        "mark those cells too, or load what they make (a model, a table) inside the function"
    )
    return "\n".join(lines)


def _defined(source: str) -> tuple[str, ...]:
    try:
        return pycode.defined(source)
    except (SyntaxError, ValueError, RecursionError):
        return ()


def _carried(imports: Mapping[str, str], needed: Sequence[str]) -> tuple[str, ...]:
    carried = [name for name in needed if name in imports]
    return (f"took the imports of {', '.join(carried)} along",) if carried else ()
