"""`lockgate explain`: everything that happened to one call."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from lockgate.app.api.frames import CHAT_ID
from lockgate.cli.calls import NO, outcome_text
from lockgate.cli.opened import (
    HERE,
    At,
    Json,
    console,
    facts,
    milliseconds,
    opened,
    shown,
    stamp,
)
from lockgate.core.entry import Entry
from lockgate.core.exchange import Attempt, Note, Verdict
from lockgate.core.money import usd
from lockgate.store.ledger import Ledger

_WAIT_S: Final = 2.0
_POLL_S: Final = 0.05


def explain(
    call_id: Annotated[str, Parameter(name="ID")], /, *, as_json: Json = False, at: At = HERE
) -> int:
    """Show the trail of a call: every stage, verdict and attempt, with its time and price.

    The id is what the answer's header `x-request-id` says, or a chat's `id`, which is the same
    behind `chatcmpl-`. A call that has just ended may take a moment to get to the ledger; it is
    waited for.

    Example: `lockgate explain 1a2096a0619ea8aedccf82381a`.

    Args:
        call_id: The call's id.
        as_json: Print a JSON object.
        at: Which project.
    """
    with opened(at.loaded()) as store:
        entry = _find(Ledger(store), call_id.removeprefix(CHAT_ID))
    if entry is None:
        print(
            f"error: there is no call {shown(call_id)!r} in the ledger; `lockgate calls` lists "
            "those there are, and they only arrive while `lockgate serve` runs",
            file=sys.stderr,
        )
        return NO
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(facts(entry))).decode())
    else:
        console().print(_tree(entry))
    return 0


def _find(ledger: Ledger, call_id: str) -> Entry | None:
    until = time.monotonic() + _WAIT_S
    while (entry := ledger.call(call_id)) is None and time.monotonic() < until:
        time.sleep(_POLL_S)
    return entry


def _tree(entry: Entry) -> Tree:
    head = Text.assemble((entry.id, "bold"), "  ", shown(entry.service), "  ", outcome_text(entry))
    tree = Tree(head)
    tree.add(_summary(entry))
    _branch(tree, "trail", _trail(entry.trail), len(entry.trail))
    _branch(tree, "verdicts", _verdicts(entry.verdicts), len(entry.verdicts))
    _branch(tree, "attempts", _attempts(entry.attempts), len(entry.attempts))
    return tree


def _branch(tree: Tree, name: str, content: Table, lines: int) -> None:
    if lines:
        tree.add(Text(name, style="bold")).add(content)
    else:
        tree.add(Text(f"no {name}", style="dim"))


def _summary(entry: Entry) -> Table:
    sure = "not known" if entry.confidence is None else f"{entry.confidence:.4f}"
    began, took = entry.first_output, milliseconds(entry.seconds)
    return _grid(
        ("received", f"{stamp(entry.received_at)} (UTC), by {entry.surface}"),
        ("status", f"{entry.status} {entry.code}"),
        ("took", took if began is None else f"{took}, first output {milliseconds(began)}"),
        ("stream", entry.ended),
        ("answered by", entry.target + (f" (rung {entry.rung})" if entry.rung else "")),
        ("confidence", sure),
        ("cost", f"{usd(entry.cost)} USD"),
        ("tokens", f"{entry.input_tokens} in, {entry.output_tokens} out"),
        ("caller", f"tenant {entry.tenant}, key {entry.key_id}"),
        ("release", entry.release),
    )


def _trail(notes: Sequence[Note]) -> Table:
    return _grid(
        *(
            (
                note.stage,
                "" if note.seconds is None else milliseconds(note.seconds),
                note.event,
                note.detail,
            )
            for note in notes
        )
    )


def _verdicts(verdicts: Sequence[Verdict]) -> Table:
    return _grid(*((one.by, one.side, str(one.decision), one.reason) for one in verdicts))


def _attempts(attempts: Sequence[Attempt]) -> Table:
    return _grid(*(_attempt(number, one) for number, one in enumerate(attempts, 1)))


def _attempt(number: int, one: Attempt) -> tuple[str, ...]:
    return (
        f"{number}. {one.target}",
        one.result,
        milliseconds(one.seconds),
        f"{usd(one.cost)} USD",
        f"{one.usage.input_tokens} in, {one.usage.output_tokens} out",
        "" if one.confidence is None else f"confidence {one.confidence:.4f}",
    )


def _grid(*rows: tuple[str, ...]) -> Table:
    """Lay rows out in columns; a row of a name and nothing is left out."""
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        if any(cell.strip() for cell in row[1:]):
            grid.add_row(*(Text(shown(cell.strip())) for cell in row))
    return grid
