"""What `lockgate doctor` is made of: checks that look at one thing each and cannot stop another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.manifest.load import Examination, Loaded, examine

PATIENCE_SECONDS = 15.0
"""How long one check may take: a frozen database or network folder answers never."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


_COLOURS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


class Line(msgspec.Struct, frozen=True):
    """What one check found.

    Attributes:
        said: What is the case.
        mend: The command, or the edit, that mends it; empty if nothing is wrong.
    """

    check: str
    level: Level
    said: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the checks look at.

    Attributes:
        manifest: The manifest's path, as it was given.
        root: The folder that it is in.
    """

    manifest: Path
    root: Path
    environ: Mapping[str, str] = field(repr=False)
    examination: Examination

    @property
    def loaded(self) -> Loaded | None:
        """The manifest, if it can be served."""
        return self.examination.loaded


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; checks that need a manifest are left out when there is no good one."""

    name: str
    look: Callable[[Ground], Iterable[Line]]


def surveyed(manifest: Path, env: str | None, environ: Mapping[str, str]) -> Ground:
    """Find out what there is to look at."""
    examination = examine(manifest, env=env, environ=environ, deep=True)
    return Ground(manifest, manifest.absolute().parent, environ, examination)


def examined(check: Check, ground: Ground, patience: float = PATIENCE_SECONDS) -> list[Line]:
    """Run one check; whatever goes wrong in it becomes a line as well."""
    lines = [Line(check.name, Level.FAIL, f"no answer within {patience:g} s")]

    def look() -> None:
        lines[:] = _looked(check, ground)

    thread = threading.Thread(target=look, name=check.name, daemon=True)
    thread.start()
    thread.join(patience)
    return list(lines)


def _looked(check: Check, ground: Ground) -> list[Line]:
    try:
        return list(check.look(ground))
    except LockgateError as error:
        return [Line(check.name, Level.FAIL, str(error))]
    except Exception as error:  # noqa: BLE001 — one check that breaks must not hide the others
        said = f"this could not be checked ({type(error).__name__}: {error})"
        return [Line(check.name, Level.WARN, said)]


def as_json(lines: Sequence[Line]) -> str:
    """Write *lines* as a JSON list."""
    return msgspec.json.format(msgspec.json.encode(lines)).decode()


def show(lines: Sequence[Line]) -> None:
    """Print *lines* for people; below each fault stands what mends it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = max(len(line.check) for line in lines)
    for line in lines:
        text = Text.assemble((f"{line.level:<4}", _COLOURS[line.level]), f"  {line.check:<{width}}")
        console.print(text.append(f"  {line.said}"))
        if line.mend:
            console.print(Text(f"{'':{width + 8}}→ {line.mend}", "bold"))
    count = {level: sum(line.level is level for line in lines) for level in Level}
    console.print(f"{count[Level.OK]} ok, {count[Level.WARN]} warn, {count[Level.FAIL]} fail")
