"""`lockgate key`: make, list and revoke API keys."""

from __future__ import annotations

import sys
import time
from difflib import get_close_matches
from typing import Annotated, Any, Final

import msgspec
from cyclopts import App, Parameter
from rich.table import Table

from lockgate.cli.opened import (
    HERE,
    At,
    Duration,
    Json,
    console,
    opened,
    print_json,
    shown,
    stamp,
    when,
)
from lockgate.store.keyring import PREFIX, PUBLIC_CHARS
from lockgate.store.keys import Key, Keys, Minted
from lockgate.store.migrate import migrate

USAGE, NO = 2, 3
_NS: Final = 1_000_000_000

key = App(name="key", help="Make, list and revoke API keys.")


@key.command
def create(
    *,
    tenant: str,
    note: str = "",
    service: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    expires: Duration | None = None,
    as_json: Json = False,
    at: At = HERE,
) -> int:
    """Make a key and print it, this once: only a hash of it is kept.

    Example: `lockgate key create --tenant shop --service assistant --expires 90d`

    Args:
        tenant: Whose key it is; limits, caches and costs are kept apart by tenant.
        note: What it is for.
        service: A service that it may call; give it again for more. All of them if left out.
        expires: How long it is valid, like `12h` or `90d`. For ever if left out.
        as_json: Print JSON.
        at: Which project.
    """
    project = at.loaded()
    if (wrong := _wrong(tenant, service, tuple(project.manifest.services))) is not None:
        print(f"error: {wrong}", file=sys.stderr)
        return USAGE
    until = None if expires is None else time.time_ns() + round(expires * _NS)
    with opened(project) as store:
        migrate(store)
        minted = Keys(store).create(tenant, note, frozenset(service), until)
    _show(minted, until, as_json=as_json)
    return 0


@key.command(name="list")
def list_(*, as_json: Json = False, at: At = HERE) -> int:
    """List all keys ever made, without their secrets.

    Example: `lockgate key list --json`.

    Args:
        as_json: Print a JSON array.
        at: Which project.
    """
    with opened(at.loaded()) as store:
        migrate(store)
        keys = Keys(store).list()
    if as_json:
        print_json([_facts(one) for one in keys])
    elif keys:
        console().print(_table(keys))
    else:
        print("no keys yet: lockgate key create --tenant NAME", file=sys.stderr)
    return 0


@key.command
def revoke(public_id: Annotated[str, Parameter(name="ID")], /, *, at: At = HERE) -> int:
    """Make a key invalid; running servers stop taking it within a tenth of a second.

    Example: `lockgate key revoke 6rarks4hh1`.

    Args:
        public_id: The key's id, as `lockgate key list` shows it.
        at: Which project.
    """
    wanted = public_id.removeprefix(PREFIX)[:PUBLIC_CHARS]  # the whole key does, too
    with opened(at.loaded()) as store:
        migrate(store)
        done = Keys(store).revoke(wanted)
    if not done:
        print(
            f"error: there is no valid key {shown(wanted)!r}; see them with: lockgate key list",
            file=sys.stderr,
        )
        return NO
    print(f"{wanted} is revoked", file=sys.stderr)
    return 0


def _wrong(tenant: str, services: tuple[str, ...], known: tuple[str, ...]) -> str | None:
    """Say what is wrong with a wish for a key, and what to do about it."""
    if not tenant.strip():
        return "a key needs a tenant: --tenant NAME"
    for name in services:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            return f"there is no service {name!r}; {hint}"
    return None


def _show(minted: Minted, until: int | None, *, as_json: bool) -> None:
    if as_json:
        expires = None if until is None else stamp(until)
        facts = {"id": minted.public_id, "key": minted.secret_text, "expires_at": expires}
        print(msgspec.json.encode(facts).decode())
    else:
        print(minted.secret_text)
    end = "until it is revoked" if until is None else f"until {when(until)}"
    print(
        f"Keep it now: it cannot be shown again. It is valid {end}.\n"
        f"To take it back: lockgate key revoke {minted.public_id}",
        file=sys.stderr,
    )


def _state(one: Key) -> str:
    if one.revoked_at is not None:
        return "revoked"
    over = one.expires_at is not None and one.expires_at <= time.time_ns()
    return "expired" if over else "valid"


def _facts(one: Key) -> dict[str, Any]:
    times = ("created_at", "expires_at", "revoked_at")
    told = {name: getattr(one, name) for name in times}
    return {
        "id": one.public_id,
        "state": _state(one),
        "tenant": one.tenant,
        "note": one.note,
        "services": sorted(one.services),
    } | {name: None if value is None else stamp(value) for name, value in told.items()}


def _table(keys: list[Key]) -> Table:
    table = Table("id", "state", "tenant", "services", "made", "expires", "note")
    for one in keys:
        table.add_row(
            one.public_id,
            _state(one),
            shown(one.tenant),
            shown(", ".join(sorted(one.services))) or "all",
            when(one.created_at),
            "never" if one.expires_at is None else when(one.expires_at),
            shown(one.note),
        )
    return table
