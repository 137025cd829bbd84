"""Quantities as people write them."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.manifest import units

_NONSENSE = st.one_of(
    st.text(max_size=20),
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(),
    st.lists(st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("8s", 8), ("10m", 600), ("24h", 86400), ("7d", 604800), ("1.5s", 1.5)],
)
def test_durations(text: str, seconds: float) -> None:
    """Every unit of time means what it says."""
    assert units.parse_duration(text) == seconds


@pytest.mark.parametrize(("number", "seconds"), [(8, 8.0), (0.5, 0.5)])
def test_plain_numbers_are_seconds(number: float, seconds: float) -> None:
    """A number without a unit is seconds."""
    assert units.parse_duration(number) == seconds


@pytest.mark.parametrize(
    "wrong",
    ["8", "8 sec", "1h30m", "-1s", "0s", 0, -3, True, None, math.nan, math.inf, "9999999d", [], ""],
)
def test_what_is_no_duration(wrong: object) -> None:
    """What is not a sensible duration is refused with an example of one."""
    with pytest.raises(ValueError, match="`8s`"):
        units.parse_duration(wrong)


@pytest.mark.parametrize(("text", "share"), [("80%", 0.8), ("0.75", 0.75), (0.8, 0.8), (1, 1.0)])
def test_shares(text: object, share: float) -> None:
    """A share is a percentage or a number between 0 and 1."""
    assert units.parse_share(text) == share


@pytest.mark.parametrize("wrong", [80, "120%", -0.1, "eighty", True, None, math.nan])
def test_what_is_no_share(wrong: object) -> None:
    """80 is not 80 %: a number above 1 is refused, with both ways to write it."""
    with pytest.raises(ValueError, match=r"`80%` or `0\.8`"):
        units.parse_share(wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [("512KB", 512_000), ("10MB", 10**7), ("1MiB", 2**20), (17, 17), ("1.5KB", 1500), ("3B", 3)],
)
def test_sizes(text: object, size: int) -> None:
    """KB are thousands, KiB are 1024s."""
    assert units.parse_bytes(text) == size


@pytest.mark.parametrize("wrong", ["0.5B", 1.5, "10 megs", 0, -1, True, None, "10Mb"])
def test_what_is_no_size(wrong: object) -> None:
    """What is not a whole number of bytes is refused with an example."""
    with pytest.raises(ValueError, match="`10MB`"):
        units.parse_bytes(wrong)


def test_money() -> None:
    """Money is exact."""
    assert units.parse_money("0.02 USD") == Decimal("0.02")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (0.02, "no currency"),
        ("0.02", "not an amount"),
        ("0.02 EUR", "EUR is not understood, only USD"),
        ("$0.02", r"\$ is not understood"),
        (Decimal(-1), "not a price"),
        (True, "not an amount"),
    ],
)
def test_what_is_no_money(wrong: object, says: str) -> None:
    """A number without a currency, or with another than USD, is refused by name."""
    with pytest.raises(ValueError, match=says):
        units.parse_money(wrong)


@pytest.mark.parametrize(
    ("text", "per_token"),
    [("0.15 USD/1M", "0.00000015"), ("0.15 USD/1K", "0.00015"), ("0.001 USD/token", "0.001")],
)
def test_rates(text: str, per_token: str) -> None:
    """A rate is dollars per token, whatever it is written per."""
    assert units.parse_rate(text) == Decimal(per_token)


@pytest.mark.parametrize("wrong", ["0.15 USD", "0.15 EUR/1M", 0.15, "0.15 USD/1G", None])
def test_what_is_no_rate(wrong: object) -> None:
    """A rate without "per what" is refused with an example."""
    with pytest.raises(ValueError, match="USD/1M"):
        units.parse_rate(wrong)


@given(_NONSENSE)
def test_nothing_but_value_error(value: object) -> None:
    """No parser ever fails but with the error that says how to write it."""
    for parse in (
        units.parse_duration,
        units.parse_share,
        units.parse_bytes,
        units.parse_money,
        units.parse_rate,
    ):
        assert "`" in _refusal(parse, value)


def _refusal(parse: Callable[[object], object], value: object) -> str:
    try:
        return f"`{parse(value)}`"
    except ValueError as error:
        return str(error)


@given(st.integers(min_value=1, max_value=10**8))
def test_durations_survive_writing(milliseconds: int) -> None:
    """What is written reads back the same, to the millisecond."""
    seconds = milliseconds / 1000
    assert units.parse_duration(units.write_duration(seconds)) == seconds


@given(st.floats(min_value=1e-5, max_value=1))
def test_shares_survive_writing(share: float) -> None:
    """What is written reads back the same, up to what twelve digits can say."""
    assert units.parse_share(units.write_share(share)) == pytest.approx(share)


@given(st.integers(min_value=1, max_value=2**40))
def test_sizes_survive_writing(size: int) -> None:
    """What is written reads back the same, to the byte."""
    assert units.parse_bytes(units.write_bytes(size)) == size


@given(st.decimals(min_value=0, max_value=10**6, places=9))
def test_money_survives_writing(amount: Decimal) -> None:
    """What is written reads back the same, to the last digit."""
    assert units.parse_money(units.write_money(amount)) == amount
    assert units.parse_rate(units.write_rate(amount / 10**6)) == amount / 10**6
