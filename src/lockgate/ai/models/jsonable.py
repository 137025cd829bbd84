"""What Python functions return, as JSON values."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from lockgate.core.payload import Json


def jsonable(value: object) -> Json:
    """Turn *value* into JSON's types: arrays and scalars of numpy, dataclasses, dates, models.

    Raises:
        ValueError: It has no JSON form, or holds NaN or an infinity; the message says what.
    """
    try:
        plain = msgspec.to_builtins(value, str_keys=True, enc_hook=_plain)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except (TypeError, OverflowError, msgspec.MsgspecError) as error:
        raise ValueError(str(error)) from error
    if not finite(plain):
        raise ValueError("it holds NaN or an infinity, which JSON does not have")
    return plain


def _plain(value: Any) -> object:
    """Convert by the conventions of numpy (`tolist`) and pydantic (`model_dump`)."""
    name = type(value).__name__
    try:
        if hasattr(value, "tolist"):
            return value.tolist()
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
    except (ValueError, TypeError) as error:  # its words may quote what is in it
        raise TypeError(f"{name} raised {type(error).__name__} when converted") from error
    raise TypeError(f"{name} is no JSON type")


def finite(value: Json) -> bool:
    """Say whether JSON has all numbers of *value*: no NaN, no infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    return True
