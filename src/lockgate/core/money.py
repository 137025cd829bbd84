"""Money: exact, in whole pico-dollars (10⁻¹² USD) inside, decimal text outside.

One input token at 0.0375 USD per million costs 37 500 pico-dollars, so every published token
price is a whole number here, and sums in the database are sums of integers.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import msgspec

PICO_PER_USD = 10**12


def usd(pico: int) -> str:
    """Write *pico* as decimal US dollars without an exponent, e.g. ``0.000021``."""
    whole, part = divmod(pico, PICO_PER_USD)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".")


def pico(amount: Decimal | str) -> int:
    """Turn decimal US dollars into whole pico-dollars, rounding half to even."""
    return int((Decimal(amount) * PICO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a model charges; all four parts add up. Pico-dollars.

    Attributes:
        input_token: Per token of the prompt.
        output_token: Per token of the answer.
        call: Per call.
        hour: Per hour of the time the model worked on the call.
    """

    input_token: int = 0
    output_token: int = 0
    call: int = 0
    hour: int = 0

    def of(self, *, input_tokens: int, output_tokens: int, seconds: float) -> int:
        """Price one attempt, in pico-dollars."""
        busy = self.hour * round(seconds * 1_000_000) // 3_600_000_000 if self.hour else 0
        tokens = input_tokens * self.input_token + output_tokens * self.output_token
        return self.call + tokens + busy
