"""The docs tell what the code does: no more, no less, and with links that lead somewhere."""

import ast
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import lockgate.request
from lockgate.cli.commands import COMMANDS
from lockgate.core import errors
from lockgate.core.errors import LockgateError
from lockgate.request.path import BACK, LAST, TOWARDS
from scripts.tree import ROOT, sources, tracked
from scripts.write_docs import DOCS, actions, help_of

_ERRORS = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, LockgateError) and error is not LockgateError
]
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def headings(name: str) -> list[str]:
    """List the headings of a page of docs/, code blocks aside."""
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return _HEADING.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("error", [LockgateError, *_ERRORS], ids=lambda error: error.__name__)
def test_every_error_code_has_a_heading(error: type[LockgateError]) -> None:
    """Whoever looks up a code from an answer or a log finds it in docs/errors.md."""
    assert error.code in {title.strip("` ") for title in headings("errors.md")}


def test_no_error_is_documented_that_does_not_exist() -> None:
    """A heading in code style in docs/errors.md is a code that Lockgate uses."""
    coded = {title.strip("`") for title in headings("errors.md") if title.startswith("`")}
    assert coded <= {error.code for error in _all_errors()}


@pytest.mark.parametrize("error", _ERRORS, ids=lambda error: error.__name__)
def test_the_drawn_tree_of_errors_is_the_real_one(error: type[LockgateError]) -> None:
    """The tree at the top of core/errors.py names every error with the status it really has."""
    drawn = re.search(rf"── {error.__name__}\b(.*)$", errors.__doc__ or "", re.MULTILINE)
    assert drawn is not None
    if status := re.match(r"\s+(\d{3})\b", drawn[1]):
        assert int(status[1]) == error.status


@pytest.mark.parametrize("stage", sorted({*TOWARDS, *BACK, *LAST}))
def test_every_stage_of_the_path_is_a_class_of_that_name(stage: str) -> None:
    """What request/path.py lists exists in a module beside it, under the same name."""
    assert stage in _stage_names()


def test_the_page_on_the_life_of_a_call_tells_the_stages_in_their_order() -> None:
    """docs/life-of-a-call.md has a heading for every stage, in the order a call meets them."""
    wanted = list(dict.fromkeys((*TOWARDS, *BACK, *LAST)))
    told = [title.strip("`") for title in headings("life-of-a-call.md")]
    assert [title for title in told if title in wanted] == wanted


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_exists(name: str) -> None:
    """What `lockgate --help` lists can be imported and called."""
    module, _, attribute = COMMANDS[name].partition(":")
    assert getattr(import_module(module), attribute)


@pytest.mark.parametrize("words", actions(), ids=" ".join)
def test_every_command_shows_an_example(words: tuple[str, ...]) -> None:
    """The help of each command and subcommand ends the guessing with a line to copy."""
    before, _, after = help_of(words).partition("Example")
    assert f"lockgate {' '.join(words)}" in after, before


@pytest.mark.parametrize("name", sorted(DOCS))
def test_docs_made_from_the_code_are_fresh(name: str) -> None:
    """`make docs` would change nothing."""
    assert (ROOT / name).read_text(encoding="utf-8") == DOCS[name](), "run `make docs`"


def test_every_promise_on_the_list_of_features_names_the_test_that_keeps_it() -> None:
    """Each line of docs/features.md links to a test that exists."""
    page = ROOT / "docs" / "features.md"
    promises = [line for line in page.read_text("utf-8").splitlines() if line.startswith("- ")]
    assert promises
    for promise in promises:
        tests = [link for link in _LINK.findall(promise) if "tests/" in link]
        assert tests, promise
        assert all((page.parent / link).exists() for link in tests), promise


def test_links_lead_somewhere() -> None:
    """No relative link in a page of ours is dead."""
    pages = [path for path in tracked() if path.suffix == ".md"]
    assert pages
    assert [(str(page), link) for page in pages for link in _dead_links(page)] == []


def test_every_test_says_which_promise_it_keeps() -> None:
    """A failing test tells what was broken, in a sentence."""
    silent = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in sources("tests")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def _dead_links(page: Path) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [link for link in _LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    return [link for link in links if not (ROOT / page.parent / link).exists()]


def _all_errors() -> set[type[LockgateError]]:
    found: set[type[LockgateError]] = set()
    waiting: list[type[LockgateError]] = [LockgateError]
    for module in pkgutil.walk_packages(lockgate.__path__, "lockgate."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting.extend(error.__subclasses__())
    return found


def _stage_names() -> set[str]:
    names: set[str] = set()
    for module in pkgutil.iter_modules(lockgate.request.__path__, "lockgate.request."):
        members = inspect.getmembers(import_module(module.name), inspect.isclass)
        mine = (one for _, one in members if one.__module__ == module.name)
        names.update(name for one in mine if isinstance(name := vars(one).get("name"), str))
    return names
