"""Quantities as people write them in the manifest, and back.

Each `parse_…` takes what YAML gave (text or a number) or a value that is already right, and raises
`ValueError` with an example when it cannot be read. Each `write_…` is its inverse, in the form a
person would choose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

_NUMBER = r"(\d{1,16}(?:\.\d{1,24})?)"
_DURATION = re.compile(_NUMBER + r"\s?(ms|s|m|h|d)")
_SHARE = re.compile(_NUMBER + r"\s?(%?)")
_SIZE = re.compile(_NUMBER + r"\s?([KMG]i?B|B)")
_MONEY = re.compile(_NUMBER + r"\s?USD")
_RATE = re.compile(_NUMBER + r"\s?USD\s?/\s?(1M|1K|token)")
_CURRENCY = re.compile(r"\b(?!USD\b)[A-Z]{3}\b|[$€£¥]")

_SECONDS: Mapping[str, Decimal] = {
    "d": Decimal(86400),
    "h": Decimal(3600),
    "m": Decimal(60),
    "s": Decimal(1),
    "ms": Decimal("0.001"),
}
_BYTES: Mapping[str, int] = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_TOKENS: Mapping[str, int] = {"1M": 10**6, "1K": 10**3, "token": 1}
_LONGEST = 10 * 365 * 86400

DURATION_PATTERN = _DURATION.pattern
SHARE_PATTERN = _SHARE.pattern
SIZE_PATTERN = _SIZE.pattern
MONEY_PATTERN = _MONEY.pattern
RATE_PATTERN = _RATE.pattern


def parse_duration(value: object) -> float:
    """Read a duration, in seconds: `250ms`, `8s`, `10m`, `24h`, `7d`, or a number of seconds.

    Raises:
        ValueError: It is not one, not more than nothing, or longer than ten years.
    """
    seconds = _number(value)
    if seconds is None:
        match = _match(_DURATION, value)
        if match is None:
            raise ValueError(
                f"{_shown(value)} is not a duration; write one like `8s`, `250ms`, `10m`"
            )
        seconds = Decimal(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= _LONGEST:
        raise ValueError(
            f"{_shown(value)} is out of bounds: a duration is more than nothing and at most ten "
            "years, e.g. `8s`"
        )
    return float(seconds)


def parse_share(value: object) -> float:
    """Read a share between 0 and 1: `80%` or `0.8`.

    Raises:
        ValueError: It is not one.
    """
    share = _number(value)
    match = _match(_SHARE, value)
    if match is not None:
        share = Decimal(match[1]) / (100 if match[2] else 1)
    if share is None:
        raise ValueError(f"{_shown(value)} is not a share; write one like `80%` or `0.8`")
    if not 0 <= share <= 1:
        raise ValueError(
            f"{_shown(value)} is not between 0 and 1; write a share like `80%` or `0.8`"
        )
    return float(share)


def parse_bytes(value: object) -> int:
    """Read a number of bytes: `512KB`, `10MB` (1000s), `1MiB` (1024s), or a whole number.

    Raises:
        ValueError: It is not one, or not whole.
    """
    size = _number(value)
    match = _match(_SIZE, value)
    if match is not None:
        size = Decimal(match[1]) * _BYTES[match[2]]
    if size is None or size != size.to_integral_value():
        raise ValueError(f"{_shown(value)} is not a size; write one like `512KB`, `10MB`, `1MiB`")
    if not 0 < size <= 2**50:
        raise ValueError(f"{_shown(value)} is out of bounds for a size; write one like `10MB`")
    return int(size)


def parse_money(value: object) -> Decimal:
    """Read an amount in US dollars: `0.02 USD`.

    Raises:
        ValueError: It is not one, or in another currency.
    """
    if isinstance(value, Decimal):
        return _not_negative(value)
    match = _match(_MONEY, value)
    if match is None:
        raise ValueError(_not_dollars(value, "an amount", "0.02 USD"))
    return Decimal(match[1])


def parse_rate(value: object) -> Decimal:
    """Read a price per token, in US dollars: `0.15 USD/1M`, `0.15 USD/1K`, `0.001 USD/token`.

    Raises:
        ValueError: It is not one, or in another currency.
    """
    if isinstance(value, Decimal):
        return _not_negative(value)
    match = _match(_RATE, value)
    if match is None:
        raise ValueError(_not_dollars(value, "a price per token", "0.15 USD/1M"))
    return Decimal(match[1]) / _TOKENS[match[2]]


def write_duration(seconds: float) -> str:
    """Write *seconds* in the largest unit that leaves a whole number, e.g. `10m`."""
    exact = Decimal(repr(seconds))
    for unit, length in _SECONDS.items():
        if exact >= length and exact % length == 0:
            return f"{_plain(exact / length)}{unit}"
    return f"{_plain(exact)}s"


def write_share(share: float) -> str:
    """Write *share* as a percentage, e.g. `80%`."""
    return f"{_plain(Decimal(repr(share)) * 100)}%"


def write_bytes(size: int) -> str:
    """Write *size* in the largest unit that leaves a whole number, e.g. `10MB`."""
    fitting = [unit for unit, length in _BYTES.items() if size and size % length == 0]
    unit = max(fitting, key=lambda name: _BYTES[name], default="B")
    return f"{size // _BYTES[unit]}{unit}"


def write_money(amount: Decimal) -> str:
    """Write *amount* of US dollars, e.g. `0.02 USD`."""
    return f"{_plain(amount)} USD"


def write_rate(per_token: Decimal) -> str:
    """Write a price per token as one per million, e.g. `0.15 USD/1M`."""
    return f"{_plain(per_token * _TOKENS['1M'])} USD/1M"


WRITERS: Mapping[object, Callable[..., str]] = {
    parse_duration: write_duration,
    parse_share: write_share,
    parse_bytes: write_bytes,
    parse_money: write_money,
    parse_rate: write_rate,
}
"""The inverse of each parser."""


def _match(pattern: re.Pattern[str], value: object) -> re.Match[str] | None:
    return pattern.fullmatch(value.strip()) if isinstance(value, str) else None


def _number(value: object) -> Decimal | None:
    """Give a finite plain number, within what sensible settings need; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return None
    try:
        return Decimal(repr(value))
    except InvalidOperation:  # pragma: no cover - a subclass with a repr of its own
        return None


def _not_negative(amount: Decimal) -> Decimal:
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"`{amount}` is not a price; write one like `0.02 USD`")
    return amount


def _not_dollars(value: object, what: str, example: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{_shown(value)} has no currency; write {what} like `{example}`"
    other = _CURRENCY.search(value) if isinstance(value, str) else None
    if other is not None:
        return f"{other[0]} is not understood, only USD; write {what} like `{example}`"
    return f"{_shown(value)} is not {what}; write one like `{example}`"


def _plain(number: Decimal) -> str:
    """Write *number* without an exponent or trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(value: object) -> str:
    """Quote what was written, cut to a length that fits a line."""
    if isinstance(value, dict | list | tuple):
        return "a list or mapping"
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else str(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        text = "this number"
    return f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"
