"""What the tree holds: its tracked files, its Python modules, and the functions in them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LEFT_OUT = {".venv", ".bench", ".git", "__pycache__", ".hypothesis", ".lockgate", "lockgate-demo"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEEPER = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
_SCOPES = (ast.With, ast.AsyncWith)


@dataclass(frozen=True, slots=True)
class Source:
    """A Python file: where it is (relative to the root), its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """How long it is."""
        return len(self.text.splitlines())


@dataclass(frozen=True, slots=True)
class Measured:
    """A function: its place, its length without its docstring (lines), and its nesting."""

    place: str
    lines: int
    nesting: int


def tracked() -> list[Path]:
    """List the files of the tree, relative to the root: git's if there is one, else all."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        said = subprocess.run(words, cwd=ROOT, capture_output=True, check=True).stdout
        paths = [Path(name) for name in said.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
    kept = (path for path in paths if not _LEFT_OUT.intersection(path.parts))
    return sorted(path for path in kept if (ROOT / path).is_file())


def sources(*folders: str) -> list[Source]:
    """Read the Python files below *folders* (all if none are named)."""
    wanted = [path for path in tracked() if path.suffix == ".py"]
    if folders:
        wanted = [path for path in wanted if path.parts[0] in folders]
    return [_read(path) for path in wanted]


def functions(source: Source) -> Iterator[Measured]:
    """Measure every function and method of a file."""
    for node in ast.walk(source.tree):
        if isinstance(node, Function):
            yield Measured(
                place=f"{source.path}:{node.lineno} {node.name}",
                lines=_lines(node),
                nesting=_nesting(node.body),
            )


def _read(path: Path) -> Source:
    text = (ROOT / path).read_text(encoding="utf-8")
    return Source(path, text, ast.parse(text, filename=str(path)))


def _lines(node: Function) -> int:
    first = node.body[0]
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    if isinstance(first, ast.Expr) and ast.get_docstring(node, clean=False) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def _nesting(body: list[ast.stmt]) -> int:
    return max((_depth(statement) for statement in body), default=0)


def _depth(statement: ast.stmt) -> int:
    """Count how deep control flow is nested; `with` adds nothing, nor does `elif` to its `if`."""
    if isinstance(statement, _SCOPES):
        return _nesting(statement.body)
    if not isinstance(statement, _DEEPER):
        return 0
    if isinstance(statement, ast.If):
        chained = len(statement.orelse) == 1 and isinstance(statement.orelse[0], ast.If)
        other = _depth(statement.orelse[0]) - 1 if chained else _nesting(statement.orelse)
        return 1 + max(_nesting(statement.body), other)
    return 1 + max((_nesting(block) for block in _blocks(statement)), default=0)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield part.body
