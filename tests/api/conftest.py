"""Doors for the tests of the API."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack

import pytest

from tests.api.door import Door, Plan, opened

Open = Callable[[Plan], Door]


@pytest.fixture
def open_door() -> Generator[Open]:
    """Open doors that close when the test is over."""
    with ExitStack() as stack:
        yield lambda plan: stack.enter_context(opened(plan))


@pytest.fixture(scope="session")
def standing_door() -> Generator[Door]:
    """Open one door for all tests that need nothing special."""
    with opened(Plan()) as door:
        yield door


@pytest.fixture
def door(standing_door: Door) -> Door:
    """Give a door behind which everything is well, and of which nothing is remembered."""
    standing_door.recorder.entries.clear()
    standing_door.away.clear()
    return standing_door
