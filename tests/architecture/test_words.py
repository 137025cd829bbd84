"""One word per idea, and the words that say nothing are not used."""

import ast
import re

import pytest

from lockgate.core.exchange import Decision, Outcome, Surface
from lockgate.request.path import BACK, LAST, TOWARDS
from scripts.tree import ROOT, sources

_EMPTY = re.compile(r"^(manager|helper|util|processor|data|info|common|misc)s?$")
_GLOSSARY = ROOT / "docs" / "glossary.md"


def test_no_module_or_class_is_named_with_an_empty_word() -> None:
    """Names say what a thing is; `manager`, `helper`, `util` and their like never do."""
    named = [
        (f"{source.path}", name)
        for source in sources()
        for name in (*source.path.with_suffix("").parts, *_classes(source.tree))
    ]
    assert [(where, name) for where, name in named if _says_nothing(name)] == []


@pytest.mark.parametrize("name", ["DataFrame", "http_utils", "TokenManager", "misc"])
def test_the_search_for_empty_words_finds_them(name: str) -> None:
    """Empty words are found in camel case, in snake case and in the plural."""
    assert _says_nothing(name)


@pytest.mark.parametrize("name", ["Database", "dated", "Information", "datum", "Exchange"])
def test_the_search_for_empty_words_finds_no_others(name: str) -> None:
    """A word that only begins like an empty one is a word."""
    assert not _says_nothing(name)


@pytest.mark.parametrize(
    "word",
    sorted({*TOWARDS, *BACK, *LAST, *Outcome, *Decision, *Surface}),
)
def test_every_word_that_callers_and_operators_meet_is_in_the_glossary(word: str) -> None:
    """Outcomes, stages, decisions and surfaces are explained in docs/glossary.md."""
    assert f"**{word}**" in _GLOSSARY.read_text(encoding="utf-8")


def test_the_glossary_is_in_alphabetical_order_and_explains_no_word_twice() -> None:
    """A word is found where one looks for it, once."""
    entries = re.findall(r"^\*\*([^*]+)\*\*", _GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(entries) > 30
    assert entries == sorted(set(entries))


def _classes(tree: ast.Module) -> list[str]:
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _says_nothing(name: str) -> bool:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return any(_EMPTY.match(word.lower()) for word in words)
