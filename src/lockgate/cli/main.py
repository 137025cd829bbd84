"""`lockgate`: the commands, by name; a command's module is imported only when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

COMMANDS: dict[str, str] = {
    "calls": "lockgate.cli.calls:calls",
    "check": "lockgate.cli.check:check",
    "demo": "lockgate.cli.demo:demo",
    "doctor": "lockgate.cli.doctor:doctor",
    "explain": "lockgate.cli.explain:explain",
    "init": "lockgate.cli.init:init",
    "key": "lockgate.cli.key:key",
    "schema": "lockgate.cli.schema:schema",
    "serve": "lockgate.cli.serve:serve",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; `--version` answers before anything heavy is imported."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        from lockgate import __version__

        print(f"lockgate {__version__}")
        return
    from lockgate.cli.app import run

    run(words)
