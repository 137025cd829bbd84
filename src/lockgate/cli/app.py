"""The command line itself: lazy commands, one place where errors become exit codes.

Exit codes: 0 done · 1 unexpected failure · 2 usage, or the manifest is wrong · 3 a check said no ·
4 not allowed · 5 the server or the store cannot be reached · 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cyclopts

from lockgate import __version__
from lockgate.cli.commands import COMMANDS
from lockgate.core.errors import LockgateError, ManifestError, StoreError

USAGE, NO, UNREACHABLE, INTERRUPTED = 2, 3, 5, 130


def build() -> cyclopts.App:
    """Build the command tree without importing any command."""
    app = cyclopts.App(
        name="lockgate",
        version=__version__,
        help="Take an AI prototype to production and keep it there.",
        help_epilogue="Start here: lockgate demo · lockgate init · lockgate check · lockgate serve",
    )
    for name, target in COMMANDS.items():
        app.command(target, name=name)
    return app


def run(words: Sequence[str]) -> None:
    """Run one command and exit with its code."""
    try:
        result = build()(words, exit_on_error=True)
    except ManifestError as error:
        print(error, file=sys.stderr)
        sys.exit(USAGE)
    except StoreError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        sys.exit(UNREACHABLE)
    except LockgateError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(result if isinstance(result, int) else 0)
