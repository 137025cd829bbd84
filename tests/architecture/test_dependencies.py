"""What Lockgate stands on: little, pinned, and nothing that runs code it was given."""

import ast
import re
from collections.abc import Iterator
from importlib.metadata import distribution, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.tree import ROOT, Source, sources

_MOST_PACKAGES = 40
_RUNS_CODE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
_EVALUATES = {"eval", "exec", "__import__"}
_LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def test_the_core_pulls_in_few_packages() -> None:
    """`pip install lockgate`, without extras, installs at most 40 packages in all."""
    closure = _closure("lockgate")
    assert len(closure) <= _MOST_PACKAGES, sorted(closure)


def test_every_package_that_is_asked_for_is_used() -> None:
    """Each dependency in pyproject.toml is imported by something in src/."""
    imported = {name for source in sources("src") for name in _imported(source)}
    used = {
        canonicalize_name(package)
        for module, packages in packages_distributions().items()
        if module in imported
        for package in packages
    }
    asked = {_name(line) for line in requires("lockgate") or () if "extra ==" not in line}
    assert asked - used == set()


@pytest.mark.parametrize("lock", _LOCKS, ids=lambda lock: lock.name)
def test_every_lock_pins_one_version_of_every_package_with_hashes(lock: Path) -> None:
    """What is installed tomorrow is what was tested today, to the byte."""
    text = lock.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", "\n".join(_without_comments(text)))
    assert entries
    for entry in entries:
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z,]+\])?==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_demo_runs_on_what_the_tests_ran_on() -> None:
    """Every pin of the demo's lock is in the development lock as well."""
    assert _pins("demo.txt") - _pins("dev.txt") == set()


def test_nothing_unpickles_or_evaluates() -> None:
    """No module can be made to run code that came in as bytes or text."""
    product = sources("src")
    assert [str(one.path) for one in product if _imported(one) & _RUNS_CODE] == []
    assert [str(one.path) for one in product if _called(one) & _EVALUATES] == []


def _closure(root: str) -> set[str]:
    """Collect everything that installing *root* installs on this machine, without itself."""
    found: set[str] = set()
    waiting = [(root, frozenset[str]())]
    while waiting:
        name, extras = waiting.pop()
        for requirement in _needed(name, extras):
            needed = canonicalize_name(requirement.name)
            if needed not in found or requirement.extras:
                found.add(needed)
                waiting.append((needed, frozenset(requirement.extras)))
    return found - {root}


def _needed(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": one}) for one in (*extras, "")):
            yield requirement


def _name(line: str) -> str:
    return canonicalize_name(Requirement(line).name)


def _without_comments(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def _pins(name: str) -> set[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    return {line.rstrip("\\ ") for line in _without_comments(text) if not line.startswith(" ")}


def _imported(source: Source) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _called(source: Source) -> set[str]:
    calls = (node.func for node in ast.walk(source.tree) if isinstance(node, ast.Call))
    return {call.id for call in calls if isinstance(call, ast.Name)}
