"""Finds the Python function that a manifest names."""

from __future__ import annotations

import difflib
import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lockgate.core.errors import ManifestError


def find_function(call: str, root: Path) -> Callable[..., Any]:
    """Import what *call* (`module:attribute`) names, looking in *root* before anywhere else.

    Raises:
        ManifestError: There is no such module or attribute, it cannot be called, or importing it
            failed; in the last case the traceback is on stderr.
    """
    module_name, _, attribute = call.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    module = _import(module_name, root)
    function = getattr(module, attribute, None)
    if function is None:
        raise ManifestError((_missing(module, attribute),))
    if not callable(function):
        kind = type(function).__name__
        raise ManifestError((f"call: {call} is a {kind}, not something that can be called",))
    return function


def _import(name: str, root: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not _is_part(error.name, name):
            finding = f"call: {name} imports {error.name}, which is not installed here"
        else:
            finding = f"call: there is no module {error.name}, neither in {root} nor installed"
        raise ManifestError((finding,)) from error
    except (Exception, SystemExit) as error:
        traceback.print_exception(error)
        raised = f"{type(error).__name__}: {error}".rstrip(": ")
        finding = f"call: importing {name} failed with {raised} (traceback above)"
        raise ManifestError((finding,)) from error


def _is_part(missing: str, name: str) -> bool:
    """Say whether *missing* is *name* or a package that *name* is in."""
    return name == missing or name.startswith(f"{missing}.")


def _missing(module: ModuleType, attribute: str) -> str:
    near = difflib.get_close_matches(attribute, vars(module), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    place = module.__file__ or module.__name__
    return f"call: {place} has no {attribute}{hint}"
