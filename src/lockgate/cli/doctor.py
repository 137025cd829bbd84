"""`lockgate doctor`: look at everything a server needs, and say how to mend what is wrong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

NO = 3


def doctor(
    *,
    manifest: Path = Path("lockgate.yaml"),
    env: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Check the machine, the manifest, the store and the port; name what mends each fault.

    Exit code 0 if nothing fails, 3 otherwise. Nothing is changed, and no model is called.

    Example: `lockgate doctor --env production --json`

    Args:
        manifest: The manifest that is to be served.
        env: The environment whose overlay is merged in.
        as_json: Print the results as a JSON list.
    """
    from lockgate.cli import examination
    from lockgate.cli.examination_machine import MACHINE
    from lockgate.cli.examination_project import PROJECT

    ground = examination.surveyed(manifest, env, os.environ)
    checks = (*MACHINE, *PROJECT)
    lines = [line for check in checks for line in examination.examined(check, ground)]
    if as_json:
        print(examination.as_json(lines))
    else:
        examination.show(lines)
    failed = any(line.level is examination.Level.FAIL for line in lines)
    return NO if failed else 0
