"""`lockgate`: the entry point, which answers `--version` before anything heavy is imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words in (["--version"], ["-V"]):
        from lockgate import __version__

        print(f"lockgate {__version__}")
        return
    from lockgate.cli.app import run

    run(words)
