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


@pytest.fixture
def door(open_door: Open) -> Door:
    """Open a door behind which everything is well."""
    return open_door(Plan())
