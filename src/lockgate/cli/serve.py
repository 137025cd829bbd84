"""`lockgate serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

NOT_ALLOWED = 4


def serve(
    *,
    manifest: Path = Path("lockgate.yaml"),
    env: str | None = None,
    host: str | None = None,
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65535))] = None,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1, lte=256))] = None,
    grace: Annotated[int, Parameter(validator=Number(gte=0))] = 20,
) -> int:
    """Start the front door, the steward and the models' runners, and keep them running.

    Ctrl-C or SIGTERM stops it: calls in flight are finished first; asked twice, it ends at once.

    Example: `lockgate serve --env production --port 8080 --workers 4`

    Args:
        manifest: The manifest to serve.
        env: The environment whose overlay is merged in.
        host: Address to listen on, rather than `serve.host`.
        port: Port to listen on, rather than `serve.port`; 0 takes any that is free.
        workers: Number of worker processes, rather than `serve.workers`.
        grace: Seconds that calls in flight have to finish once it is told to stop.
    """
    from lockgate.processes.front_door import UnsafeBind
    from lockgate.processes.plan import Asked
    from lockgate.processes.serve import serve as run

    asked = Asked(manifest, env, host=host, port=port, workers=workers, grace=grace)
    try:
        return run(asked, os.environ)
    except UnsafeBind as refusal:
        print(f"error[{refusal.code}]: {refusal}", file=sys.stderr)
        return NOT_ALLOWED
