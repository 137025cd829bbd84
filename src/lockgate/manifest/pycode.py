"""Python source as text: which names it defines, and which it needs from elsewhere.

Nothing is run: the compiler's own symbol tables say what is global.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator


def needed(source: str) -> tuple[str, ...]:
    """List the names that *source* uses but neither defines nor finds among the builtins.

    Raises:
        SyntaxError: It is not Python.
    """
    table = symtable.symtable(source, "<source>", "exec")
    bound = set(defined(source)) | set(dir(builtins)) | {"__name__", "__file__", "__doc__"}
    return tuple(dict.fromkeys(name for name in _globals(table) if name not in bound))


def defined(source: str) -> tuple[str, ...]:
    """List the names that the top level of *source* binds, imports included.

    Raises:
        SyntaxError: It is not Python.
    """
    table = symtable.symtable(source, "<source>", "exec")
    names = (
        symbol for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    )
    return tuple(symbol.get_name() for symbol in names)


def functions(source: str) -> tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...]:
    """List the functions that the top level of *source* defines, in their order.

    Raises:
        SyntaxError: It is not Python.
    """
    body = ast.parse(source).body
    return tuple(part for part in body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))


def first_parameter(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Give the name of a function's first parameter; empty if it has none."""
    parameters = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    return parameters[0].arg if parameters else ""


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)
