"""Lockgate takes an AI prototype to production and keeps it there."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `lockgate.ship` when it is first used, so that `import lockgate` stays light."""
    if name == "ship":
        function = import_module("lockgate.ship").ship
        globals()["ship"] = function  # the import bound the package of the same name here
        return function
    raise AttributeError(f"module 'lockgate' has no attribute {name!r}")
