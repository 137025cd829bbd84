"""What an operator is told of an exception."""

from __future__ import annotations

import pytest

from lockgate.core.raised import written

WORDS = "my account number"


def deep(left: int) -> None:
    """Fail far down."""
    if left:
        deep(left - 1)
    raise KeyError(WORDS)


def caught(left: int = 0) -> Exception:
    """Fail with a cause, and give the failure."""
    try:
        try:
            deep(left)
        except KeyError as error:
            raise ValueError(f"no {WORDS}") from error
    except ValueError as error:
        return error
    raise AssertionError


def test_it_is_told_where_and_not_what() -> None:
    """Types, files, lines and functions of the whole chain; no message and no line of code."""
    said = written(caught(), quote=False)
    assert WORDS not in said
    assert "raise KeyError" not in said
    lines = said.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert any("test_raised.py" in line and line.endswith("in deep") for line in lines)
    assert [line.split()[0] for line in lines if "left out" in line] == ["KeyError", "ValueError"]


def test_with_quotes_it_is_python_s_own_traceback() -> None:
    """Whoever develops sees everything."""
    said = written(caught(), quote=True)
    assert f"ValueError: no {WORDS}" in said
    assert "raise KeyError(WORDS)" in said


def test_a_group_is_told_part_by_part() -> None:
    """What failed at the same time is not lost."""
    group = ExceptionGroup(WORDS, [caught(), TimeoutError(WORDS)])
    said = written(group, quote=False)
    assert WORDS not in said
    assert "  | TimeoutError (message" in said


@pytest.mark.parametrize("count", [100, 900])
def test_a_deep_traceback_is_short(count: int) -> None:
    """Recursion does not flood the log."""
    said = written(caught(count), quote=False)
    assert len(said.splitlines()) < 60
    assert f"{count + 2 - 40} more" in said


def test_a_chain_without_end_is_cut() -> None:
    """Neither a long chain nor a circle is followed for ever."""
    first = last = ValueError(WORDS)
    for _ in range(1000):
        last.__cause__ = ValueError(WORDS)
        last = last.__cause__
    assert written(first, quote=False).count("ValueError") == 20
    one, two = KeyError(), ValueError()
    one.__context__, two.__context__ = two, one
    assert written(one, quote=False).count("Error") == 2
