"""The table in docs/errors.md is the code's."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from lockgate.core import errors
from lockgate.core.errors import LockgateError, ManifestError

PAGE = (Path(__file__).parents[3] / "docs" / "errors.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\d+|none) \| (yes|no) \| (.+) \|$", re.MULTILINE)
ERRORS = {
    error.code: error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, LockgateError) and error is not errors.CallError
}


def test_the_table_has_every_code_once() -> None:
    """No code is missing, and none is there twice."""
    assert sorted(row[0] for row in ROW.findall(PAGE)) == sorted(ERRORS)


@pytest.mark.parametrize("row", ROW.findall(PAGE), ids=lambda row: row[0])
def test_a_row_tells_the_status_and_the_advice_that_are_given(row: tuple[str, ...]) -> None:
    """What the page promises about status and repeating is what the answer says."""
    code, status, repeat, advice = row
    error = ERRORS[code]
    assert status == ("none" if error is ManifestError else str(error.status))
    assert (repeat == "yes") == error.retryable
    assert advice.strip()
