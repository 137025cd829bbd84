"""Functions and files stay short enough to be read at once."""

import ast
from statistics import median

import pytest

from scripts.tree import Source, functions, sources

_CODE = sources("src", "bench", "scripts")
_TESTS = sources("tests")


def test_functions_are_short() -> None:
    """No function is longer than 80 lines, docstring aside."""
    assert [
        one for source in (*_CODE, *_TESTS) for one in functions(source) if one.lines > 80
    ] == []


def test_most_functions_are_very_short() -> None:
    """In the product, the median is at most 8 lines, and 85 in 100 have at most 20."""
    lines = [one.lines for source in sources("src") for one in functions(source)]
    assert median(lines) <= 8
    assert sum(size <= 20 for size in lines) >= 0.85 * len(lines)


def test_files_are_short() -> None:
    """No file is longer than 500 lines (tests: 800), and 90 in 100 have at most 300."""
    assert [(one.path, one.lines) for one in _CODE if one.lines > 500] == []
    assert [(one.path, one.lines) for one in _TESTS if one.lines > 800] == []
    assert sum(one.lines <= 300 for one in _CODE) >= 0.9 * len(_CODE)


def test_control_flow_is_flat() -> None:
    """Nowhere are more than three ifs, loops and tries inside one another."""
    assert [one for source in _CODE for one in functions(source) if one.nesting > 3] == []


@pytest.mark.parametrize(
    ("body", "nesting"),
    [
        ("return 1", 0),
        ("if a:\n  pass\nelif b:\n  pass\nelse:\n  pass", 1),
        ("if a:\n  pass\nelse:\n  x()\n  if b:\n    pass", 2),
        ("for a in b:\n  try:\n    with c:\n      if d: pass\n  finally:\n    pass", 3),
        ("match a:\n  case 1:\n    while b:\n      pass", 2),
    ],
)
def test_nesting_is_counted_as_a_reader_would(body: str, nesting: int) -> None:
    """An `elif` is beside its `if`, `with` is no branch; handlers, cases and finally are inside."""
    indented = body.replace("\n", "\n  ")
    text = f"def f():\n  {indented}\n"
    (found,) = functions(Source(path=_CODE[0].path, text=text, tree=ast.parse(text)))
    assert found.nesting == nesting
