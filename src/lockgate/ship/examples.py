"""Examples of inputs, from whatever a notebook has them in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lockgate.core.payload import Json
from lockgate.ship.card import NotShipped


@dataclass(frozen=True, slots=True)
class Examples:
    """A table of examples.

    Attributes:
        columns: Their names; empty if nobody named them.
        rows: One tuple of plain JSON scalars each.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Json, ...], ...]

    def ordered(self, names: Sequence[str]) -> Examples:
        """Bring the columns into the order of *names*."""
        if not self.columns:
            return Examples(tuple(names), self.rows)
        places = [self.columns.index(name) for name in names]
        return Examples(tuple(names), tuple(tuple(row[i] for i in places) for row in self.rows))

    def first(self) -> dict[str, Json]:
        """Give the first example, as a caller would send it."""
        return {
            name: _sendable(cell) for name, cell in zip(self.columns, self.rows[0], strict=True)
        }

    def column(self, name: str) -> list[Json]:
        """Give all values of one column."""
        place = self.columns.index(name)
        return [_sendable(row[place]) for row in self.rows]


def examples_of(example: Any) -> Examples:
    """Read a DataFrame, an array, a dict of features, or a list of such dicts or of rows.

    Raises:
        NotShipped: It is none of these, or there is no row in it.
    """
    table = _table(example)
    if not table.rows:
        raise NotShipped("`example` has no rows; give at least one input, e.g. X_test[:20]")
    width = len(table.columns) or len(table.rows[0])
    if any(len(row) != width for row in table.rows):
        raise NotShipped("the rows of `example` have different lengths")
    return table


def _table(example: Any) -> Examples:
    if hasattr(example, "columns") and hasattr(example, "to_numpy"):  # pandas, polars
        return Examples(tuple(map(str, example.columns)), _rows(example.to_numpy()))
    if isinstance(example, Mapping):
        return _from_dicts([example])
    if hasattr(example, "toarray"):  # scipy's sparse matrices
        return Examples((), _rows(example.toarray()))
    if isinstance(example, Sequence) and example and isinstance(example[0], Mapping):
        return _from_dicts(example)
    return Examples((), _rows(example))


def _from_dicts(rows: Sequence[Any]) -> Examples:
    columns = tuple(map(str, rows[0]))
    for row in rows:
        if not isinstance(row, Mapping) or set(map(str, row)) != set(columns):
            raise NotShipped("the dicts in `example` do not all have the same keys")
    return Examples(columns, tuple(tuple(_cell(row[name]) for name in rows[0]) for row in rows))


def _rows(example: Any) -> tuple[tuple[Json, ...], ...]:
    import numpy as np

    try:
        array = np.asarray(example)
    except ValueError as error:
        raise NotShipped(f"`example` is not a table: {error}") from error
    array = array.reshape(1, -1) if array.ndim == 1 else array
    if array.ndim != 2:
        raise NotShipped(
            f"`example` must be rows of features, not an array of {array.ndim} dimensions"
        )
    return tuple(tuple(_cell(cell) for cell in row) for row in array.tolist())


def _cell(cell: Any) -> Json:
    plain = cell.item() if hasattr(cell, "item") else cell
    if plain is None or isinstance(plain, bool | int | float | str):
        return plain
    raise NotShipped(
        f"`example` holds a {type(plain).__name__}; features are numbers, texts, true or false"
    )


def _sendable(cell: Json) -> Json:
    """Give what JSON can carry: NaN travels as null."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
