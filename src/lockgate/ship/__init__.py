"""From a notebook to a service: take in a fitted estimator or a function, ready to be served."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import Any

from lockgate.manifest.draft import drafted, put
from lockgate.manifest.units import parse_money, parse_share
from lockgate.ship.card import NotShipped, Package, Shipped
from lockgate.ship.estimator import is_estimator, pack_estimator
from lockgate.ship.function import pack_function

__all__ = ["NotShipped", "Shipped", "ship"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def ship(  # noqa: PLR0913 — a notebook's one call: all but three have a default
    model: object,
    *,
    name: str,
    example: object,
    labels: Sequence[object] | None = None,
    directory: str | Path | None = None,
    at_least: float | str | None = None,
    price: str | Mapping[str, str] | None = None,
) -> Shipped:
    """Make a service of a fitted scikit-learn estimator or of a Python function.

    An estimator is saved as skops (never as pickle), loaded again, and must predict the same for
    *example*, bit for bit. The manifest lists the types that its file may contain, and its digest.

    Args:
        model: The estimator or function.
        name: What to call it: lower-case letters, digits, `-` and `_`.
        example: One input or several: a DataFrame, an array, or dicts of features. For a function
            one input, as JSON.
        labels: What to call the estimator's classes, in their order.
        directory: Folder whose `lockgate.yaml` it is added to; by default a new `NAME.lockgate`.
        at_least: Answers less sure than this (`0.9` or `90%`) end as an honest "not certain".
        price: What a call costs, `0.0001 USD`, or a mapping like the manifest's `price`.

    Returns:
        What was written, and what to do next; a notebook shows it as a card.

    Raises:
        NotShipped: It cannot be taken in; says why, and what to do.
        NotAdded: The manifest has something else of this name.
        ManifestError: The manifest in *directory* is wrong.
    """
    if not _NAME.fullmatch(name):
        raise NotShipped(
            f"`{name}` cannot be a name: write lower-case letters, digits, `-` and `_`, "
            "beginning with a letter"
        )
    folder = Path(f"{name}.lockgate" if directory is None else directory)
    package = _packed(model, name, example, labels, _floor(at_least))
    part = package.part(name, {**package.model, **_price(price)})
    manifest = folder / "lockgate.yaml"
    text = drafted(manifest, part, os.environ)
    written = _write(folder, package.files)
    put(manifest, text, os.environ)
    return Shipped(name, folder, manifest, (manifest, *written), package.kind, package.notes)


def _packed(
    model: object,
    name: str,
    example: object,
    labels: Sequence[object] | None,
    at_least: float | None,
) -> Package:
    if isfunction(model):
        if labels is not None or at_least is not None:
            raise NotShipped("`labels` and `at_least` are for classifiers; leave them out")
        return pack_function(model, name, example)
    if is_estimator(model):
        return pack_estimator(model, name, example, labels, at_least)
    what = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    raise NotShipped(
        "lockgate.ship takes a fitted scikit-learn estimator or a function written with `def`, "
        f"not {what}; wrap it in a function that takes one input and returns JSON"
    )


def _floor(at_least: float | str | None) -> float | None:
    try:
        return None if at_least is None else parse_share(at_least)
    except ValueError as error:
        raise NotShipped(f"at_least: {error}") from error


def _price(price: str | Mapping[str, str] | None) -> dict[str, Any]:
    if price is None:
        return {}
    if isinstance(price, Mapping):
        return {"price": dict(price)}
    try:
        parse_money(price)
    except ValueError as error:
        raise NotShipped(f"price: {error}") from error
    return {"price": {"per_call": price}}


def _write(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    try:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    except OSError as error:
        raise NotShipped(f"{error.filename} cannot be written: {error.strerror}") from error
    return tuple(folder / name for name in files)


class _Callable(ModuleType):
    """Importing this module binds it to `lockgate.ship`, where users expect the function."""

    def __call__(self, *arguments: Any, **named: Any) -> Shipped:
        return ship(*arguments, **named)


sys.modules[__name__].__class__ = _Callable
