"""`make docs`: write the docs that are made from the code. A test says when they are stale."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from cyclopts import App
from rich.console import Console

from lockgate.cli.app import build
from lockgate.cli.commands import COMMANDS
from scripts.tree import ROOT

MADE = "<!-- Made by `make docs` from the commands' own help. Do not edit. -->"
WIDTH = 88


def help_of(words: tuple[str, ...]) -> str:
    """Give what `lockgate WORDS --help` prints on a terminal without colours."""
    page = io.StringIO()
    console = Console(file=page, width=WIDTH, color_system=None, force_terminal=False)
    build().help_print(list(words), console=console)
    lines = [line.rstrip() for line in page.getvalue().splitlines()]
    return "\n".join(lines).strip()


def commands() -> Iterator[tuple[str, ...]]:
    """List every command, each group before its own, as the words that call it."""
    root = build()
    for name in sorted(COMMANDS):
        yield (name,)
        yield from ((name, *below) for below in _below(root[name]))


def actions() -> list[tuple[str, ...]]:
    """List the commands that do something: all but the groups."""
    every = list(commands())
    return [one for one in every if not any(other[:-1] == one for other in every)]


def cli_reference() -> str:
    """Write `docs/cli.md`."""
    parts = ["# The command line", MADE, _fenced(help_of(()))]
    for words in commands():
        level = "#" * (1 + len(words))
        parts += [f"{level} lockgate {' '.join(words)}", _fenced(help_of(words))]
    return "\n\n".join(parts) + "\n"


DOCS: dict[str, Callable[[], str]] = {"docs/cli.md": cli_reference}
"""Every file that is made from the code, and what makes it."""


def _below(app: App) -> Iterator[tuple[str, ...]]:
    for name in app:
        if not name.startswith("-"):
            yield (name,)
            yield from ((name, *further) for further in _below(app[name]))


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def main() -> None:
    """Write them all."""
    for name, make in DOCS.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
