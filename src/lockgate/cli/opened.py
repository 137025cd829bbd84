"""What the commands that look into the store share: opening it, and writing what is in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from cyclopts import Parameter, Token
from rich.console import Console

from lockgate.core.entry import IN_NOTES, Entry
from lockgate.core.money import usd
from lockgate.manifest.load import Loaded, load
from lockgate.manifest.units import parse_duration
from lockgate.store.engine import Store, open_store

_PIPE_COLUMNS: Final = 240


def _duration(_kind: object, tokens: Sequence[Token]) -> float:
    return parse_duration(tokens[0].value)


Duration = Annotated[float, Parameter(converter=_duration)]
"""Seconds, written `90s`, `1h`, `30d`."""
Json = Annotated[bool, Parameter(name="--json", negative="")]
"""The switch for machine-readable output."""


@Parameter(name="*")
@dataclass(frozen=True)
class At:
    """Which project a command is about.

    Attributes:
        manifest: The manifest of the project.
        env: The environment whose overlay is merged in.
    """

    manifest: Path = Path("lockgate.yaml")
    env: str | None = None

    def loaded(self) -> Loaded:
        """Load the manifest.

        Raises:
            ManifestError: It cannot be served.
        """
        return load(self.manifest, env=self.env, environ=os.environ)


HERE: Final = At()


@contextmanager
def opened(manifest: Loaded) -> Generator[Store]:
    """Open the manifest's store for as long as the block takes.

    Raises:
        StoreError: It cannot be used.
    """
    store = open_store(manifest.store_url())
    try:
        yield store
    finally:
        store.close()


def console() -> Console:
    """Give a console on stdout that does not squeeze tables into 80 columns when piped."""
    return Console(
        width=None if sys.stdout.isatty() else _PIPE_COLUMNS,
        highlight=False,
        markup=False,
        emoji=False,
    )


def shown(text: str) -> str:
    """Make *text* harmless to terminals."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def when(time_ns: int) -> str:
    """Write a time for people, in UTC: `2026-03-03 14:03:07 UTC`."""
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def stamp(time_ns: int) -> str:
    """Write a time for machines, exactly: `2026-03-03T14:03:07.123456789Z`."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def milliseconds(seconds: float) -> str:
    """Write a duration in milliseconds with three digits that count."""
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= 100 else f"{ms:.3g} ms"


def facts(entry: Entry) -> dict[str, Any]:
    """Lay *entry* out for JSON: the ledger's fields by name, times as text, cost also in USD."""
    names = [name for name in entry.__struct_fields__ if name not in IN_NOTES]
    plain = {name: msgspec.to_builtins(getattr(entry, name)) for name in names}
    plain["attempts"] = [_priced(attempt) for attempt in plain["attempts"]]
    return _priced(plain) | {"received_at": stamp(entry.received_at)}


def _priced(plain: dict[str, Any]) -> dict[str, Any]:
    cost = plain.pop("cost")
    return plain | {"cost_usd": usd(cost), "cost_pico_usd": cost}


def print_json(items: Iterable[dict[str, Any]]) -> None:
    """Print a JSON array with one item on each line, each as soon as it is there."""
    before = "[\n"
    for item in items:
        print(before, msgspec.json.encode(item).decode(), sep="", end="")
        before = ",\n"
    print("[]" if before == "[\n" else "\n]")
