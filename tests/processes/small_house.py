"""A supervisor over children that are small scripts: `NAME=SCRIPT` words, e.g. `runner.a=...`.

Prints one JSON object per line: the process ids by name, or `serving` and `draining`. The variable
`STILL_S` says for how many seconds a child may be silent.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from random import Random

from lockgate.processes.backoff import Backoff
from lockgate.processes.child import Role, Spec
from lockgate.processes.pulse import Patience
from lockgate.processes.supervisor import Reports, Supervisor
from lockgate.processes.voice import Voice


def tell(news: object) -> None:
    """Print one line for the test."""
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


def spec(word: str) -> Spec:
    """Read one word of the command line."""
    name, _, script = word.partition("=")
    role, _, label = name.partition(".")
    return Spec(Role(role), label, (sys.executable, "-c", script))


async def run() -> int:
    """Supervise what the command line says."""
    voice = Voice()
    reports = Reports(
        say=voice.say,
        changed=tell,
        serving=lambda: tell("serving"),
        draining=lambda: tell("draining"),
    )
    specs = [spec(word) for word in sys.argv[1:]]
    still = float(os.environ.get("STILL_S", "60"))
    patience = dict.fromkeys(Role, Patience(still=still, deaf=600.0, loading=600.0))
    backoff = Backoff(Random(0))
    supervisor = Supervisor(specs, os.environ, reports, backoff, grace=20.0, patience=patience)
    code = await supervisor.run()
    voice.close()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(run()))
