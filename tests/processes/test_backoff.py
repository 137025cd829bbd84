"""How long the supervisor waits before it starts again what has died."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lockgate.processes.backoff import Backoff

DEATHS = st.integers(min_value=0, max_value=10**9)


@given(deaths=DEATHS, seed=st.integers())
def test_a_delay_is_never_negative_and_never_above_its_ceiling(deaths: int, seed: int) -> None:
    """Every draw lies between nothing and the ceiling, and no ceiling above the cap."""
    backoff = Backoff(Random(seed))
    assert 0.0 <= backoff.delay(deaths) <= backoff.ceiling(deaths) <= backoff.cap


@given(deaths=DEATHS)
def test_ceilings_never_fall(deaths: int) -> None:
    """One more death in a row never shortens the longest possible delay."""
    backoff = Backoff(Random(0))
    assert backoff.ceiling(deaths) <= backoff.ceiling(deaths + 1)


def test_the_first_restart_is_immediate_and_later_ones_wait_ever_longer() -> None:
    """0, then 0.1 s doubling up to ten seconds."""
    backoff = Backoff(Random(0))
    ceilings = [backoff.ceiling(deaths) for deaths in range(1, 11)]
    assert ceilings == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_delays_are_spread_over_the_whole_range() -> None:
    """Children that died together do not come back together (full jitter)."""
    backoff = Backoff(Random(1))
    delays = [backoff.delay(20) for _ in range(1000)]
    assert min(delays) < 0.2
    assert max(delays) > 9.8


@given(before=st.integers(0, 10**6), lived=st.floats(0, 10**6))
def test_health_pardons_earlier_deaths(before: int, lived: float) -> None:
    """Who lived for half a minute starts counting anew; who did not, goes on."""
    backoff = Backoff(Random(0))
    assert backoff.deaths(before, lived) == (1 if lived >= 30.0 else before + 1)
