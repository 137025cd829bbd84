"""What an operator is told of an exception: where it happened, not what it says.

Messages of exceptions quote what went wrong, and that is often what a caller sent.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Final, cast

LEFT_OUT: Final = "(message left out: it may quote callers; `serve: {quote_errors: true}` shows it)"
_MOST_FRAMES = 40
_MOST_ERRORS = 20  # in a chain, or a group


def tell(error: BaseException, *, quote: bool) -> None:
    """Write *error* to stderr; its messages and source lines only with *quote*."""
    sys.stderr.write(written(error, quote=quote) + "\n")
    sys.stderr.flush()


def written(error: BaseException, *, quote: bool) -> str:
    """Write *error* as Python does, or without its messages and without any line of code."""
    if quote:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    return "\n".join(_lines(error, set()))


def _lines(error: BaseException, told: set[int]) -> Iterator[str]:
    told.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told and len(told) < _MOST_ERRORS:
        yield from _lines(before, told)
        yield "which led to:"
    yield "Traceback (most recent call last):"
    yield from _frames(error.__traceback__)
    yield f"{_name(type(error))} {LEFT_OUT}"
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for part in group.exceptions[: _MOST_ERRORS - len(told)]:
            yield from (f"  | {line}" for line in _lines(part, told))


def _frames(trace: TracebackType | None) -> Iterator[str]:
    places = [
        f'  File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}'
        for frame, line in traceback.walk_tb(trace)
    ]
    half = _MOST_FRAMES // 2
    if len(places) > _MOST_FRAMES:
        places[half:-half] = [f"  … {len(places) - _MOST_FRAMES} more"]
    yield from places


def _name(kind: type[BaseException]) -> str:
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
