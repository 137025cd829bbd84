"""Files that a manifest refers to: beside it, or inside an installed package that is never run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

PACKAGE = "package:"


class FileMissing(Exception):
    """A reference leads to no file; says why, and what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


def locate(reference: str, root: Path) -> Path:
    """Find the file of a reference: a path from *root*, or `package:NAME/FILE`.

    Raises:
        FileMissing: There is no such file.
    """
    if reference.startswith(PACKAGE):
        path = _in_package(reference.removeprefix(PACKAGE))
    else:
        path = root / Path(reference).expanduser()
    try:
        found = path.is_file()
    except (OSError, ValueError) as error:
        raise FileMissing(f"`{reference}` cannot be a file", str(error)) from error
    if not found:
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileMissing(f"the file `{reference}` {what}", f"looked for {path}")
    return path


def package_folder(name: str) -> Path | None:
    """Find the folder of a top-level package without importing it; None if it is not installed."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return Path(places[0]) if places else None


def module_known(name: str) -> bool:
    """Say whether Python would find a top-level module, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _in_package(reference: str) -> Path:
    name, _, inside = reference.partition("/")
    if not inside or ".." in inside.split("/"):
        raise FileMissing(
            f"`{PACKAGE}{reference}` is not a file in a package", "write `package:NAME/FILE`"
        )
    folder = package_folder(name)
    if folder is None:
        raise FileMissing(
            f"the Python package `{name}` is not installed",
            f"install it where Lockgate runs, e.g. `pip install {name.replace('_', '-')}`",
        )
    return folder / inside
