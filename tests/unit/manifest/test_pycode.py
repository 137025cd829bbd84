"""Names that Python source defines and needs; sources are read, never run."""

from __future__ import annotations

import pytest

from lockgate.core.errors import LockgateError
from lockgate.manifest import pycode
from lockgate.manifest.marked import Chosen, NoPrototype, choose


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def f(x): return x + y", ["y"]),
        ("def f(x): return x.y", []),
        ("y = 1\ndef f(): return y", []),
        ("import numpy as np\ndef f(): return np.mean(print)", []),
        ("def f(): return [a for a in b]", ["b"]),
        ("def f(x: Matrix = DEFAULT): ...", ["Matrix", "DEFAULT"]),
        ("@cached\ndef f(): ...", ["cached"]),
        ("class C(Base):\n    def m(self): return helper()", ["Base", "helper"]),
        ("def f():\n    global g\n    return g", ["g"]),
        ("def f():\n    z = 1\n    return lambda: z + w", ["w"]),
    ],
)
def test_names_that_are_needed(source: str, names: list[str]) -> None:
    """What is needed from elsewhere is found as the compiler sees it, attributes are not."""
    assert sorted(pycode.needed(source)) == sorted(names)


@pytest.mark.parametrize(
    ("source", "chosen"),
    [
        ("def a(x): ...", Chosen("a", "predict")),
        ("async def a(messages): ...", Chosen("a", "chat")),
        ("def _h(): ...\ndef a(x): ...", Chosen("a", "predict")),
        ("def a(x): ...\n# lockgate: predict\ndef b(x): ...", Chosen("b", "predict")),
        ("def a(x): ...\n# lockgate: chat\n@wraps\ndef b(x): ...", Chosen("b", "chat")),
        ("def a(x):  # lockgate: predict\n    ...\ndef b(x): ...", Chosen("a", "predict")),
        ("def a(x):\n    # lockgate: predict\n    return x\ndef b(x): ...", Chosen("a", "predict")),
        ("# lockgate: predict\ndef _a(x): ...\ndef b(x): ...", Chosen("_a", "predict")),
    ],
    ids=range(8),
)
def test_the_function_that_is_meant(source: str, chosen: Chosen) -> None:
    """The marked function is the prototype, else the only public one."""
    assert choose(source, "x.py") == chosen


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "no public function"),
        ("def a(): ...\ndef b(): ...", r"`a`, `b`.*--from x\.py:a"),
        ("# lockgate: predict\ndef a(): ...\n# lockgate: chat\ndef b(): ...", "`a`, `b`"),
        ("def a(:", "line 1: this is not Python"),
        ("\0", "not Python"),
    ],
    ids=range(5),
)
def test_no_function_could_be_meant(source: str, says: str) -> None:
    """Where it cannot be told, the error names the candidates and how to choose."""
    with pytest.raises(NoPrototype, match=says) as caught:
        choose(source, "x.py")
    assert isinstance(caught.value, LockgateError)
