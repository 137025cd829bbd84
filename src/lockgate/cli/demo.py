"""`lockgate demo`: three real services, traffic, two accidents, and the verdict."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

SIGNALLED, INTERRUPTED = 128, 130
"""Exit codes: above the first, a signal ended it, like Ctrl-C."""


def demo(
    *,
    exit: bool = False,  # noqa: A002 — the option's name
    directory: Path = Path("lockgate-demo"),
    port: int = 8470,
    seconds: Annotated[float, Parameter(help="How long the traffic lasts.")] = 30.0,
) -> int:
    """Play the demo: serve a prompt, a JSON task and a classifier, and break the model meanwhile.

    Needs no key and no network. Afterwards it goes on serving, and says how to call it, until
    Ctrl-C. Example: `lockgate demo --exit`.

    Parameters
    ----------
    exit
        End by itself, so that nothing is left to call; exit code 0 only if no call was lost,
        mislabelled or unrecorded.
    directory
        Where the demo's project is written.
    port
        Port to serve on; another free one is taken if it is in use.
    """
    from rich.console import Console

    from lockgate.demo.ending import until_told
    from lockgate.demo.play import Play

    console = Console()
    play = Play(directory.resolve(), port=_free(port), seconds=seconds, console=console)
    try:
        code = asyncio.run(until_told(play.run(end=exit)))
    except KeyboardInterrupt:  # before anything was started
        code = INTERRUPTED
    if code >= SIGNALLED:
        with suppress(OSError):  # its terminal may be what ended it
            console.print("The demo has ended.")
    return code


def _free(port: int) -> int:
    """Give *port* if nobody listens there, else any free one."""
    import socket

    for wanted in (port, 0):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", wanted))
            except OSError:
                continue
            return int(trial.getsockname()[1])
    return port
