"""Money is exact."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from lockgate.core.money import Price, pico, usd


@given(st.integers(0, 10**18))
def test_what_is_written_can_be_read_back(amount: int) -> None:
    """No digit is lost between pico-dollars and decimal text, and there is no exponent."""
    assert pico(usd(amount)) == amount
    assert "E" not in usd(amount)


def test_published_token_prices_are_whole_numbers() -> None:
    """0.0375 USD per million tokens is 37 500 pico-dollars a token."""
    assert pico(Decimal("0.0375") / 1_000_000) == 37_500


def test_the_parts_of_a_price_add_up() -> None:
    """One call, ten tokens in, two out, half an hour at 0.02 USD an hour."""
    price = Price(input_token=3, output_token=5, call=7, hour=pico("0.02"))

    cost = price.of(input_tokens=10, output_tokens=2, seconds=1800.0)

    assert cost == 7 + 30 + 10 + pico("0.01")
