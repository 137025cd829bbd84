"""A runner: one replica of one model in a process of its own, so that nothing it does harms others.

Runs as `python -m lockgate.processes.runner`. It serves on `RUN/<model>-<index>.sock`, says
`ready` on stderr once it does, and ends when it gets SIGTERM or when the supervisor is gone
(stdin ends). If the model cannot be loaded it says why in one line and ends with code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import stat
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import uvloop

from lockgate.ai.models.artefact import verify
from lockgate.ai.models.attribute import find_function
from lockgate.ai.models.function import FunctionModel
from lockgate.ai.models.hosting import Hosting, Model
from lockgate.ai.models.llama import LlamaSettings, serve_llama
from lockgate.ai.models.threads import Threads
from lockgate.core.clock import SystemClock
from lockgate.core.errors import LockgateError, ManifestError
from lockgate.manifest import schema
from lockgate.manifest.load import Loaded, load
from lockgate.processes.child import READY
from lockgate.processes.mooring import Mooring

TOKEN: Final = "LOCKGATE_RUN_TOKEN"  # noqa: S105 — a variable's name
GRACE_S: Final = 5.0
"""Seconds that calls under way have to finish once the runner is told to end."""


class Lifeline(asyncio.Protocol):
    """The supervisor's end of stdin: never says anything, and closes when it is gone."""

    def __init__(self, gone: asyncio.Event) -> None:
        self._gone = gone

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio names it
        self._gone.set()


def main(words: Sequence[str] | None = None) -> int:
    """Run one replica; the exit code is for the supervisor."""
    asked = _arguments().parse_args(words)
    token = os.environ.pop(TOKEN, "")  # nothing the model runs needs it
    try:
        loaded = load(asked.manifest, env=asked.env, environ=os.environ)
        mooring = Mooring(asked.run / f"{asked.model}-{asked.index}.sock")
        _run(loaded, asked.model, mooring, token)
    except LockgateError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return 0


def _run(loaded: Loaded, name: str, mooring: Mooring, token: str) -> None:
    try:
        section = _section(loaded, name)
        if isinstance(section, schema.LlamaModel):
            _serve_llama(loaded, section, mooring, token)
        else:
            # Built before the loop runs: what it imports may want to run one of its own.
            uvloop.run(_serve_frames(_model(loaded, section), mooring))
    except ManifestError as error:
        findings = (f"{loaded.path.name}: models.{name}.{each}" for each in error.findings)
        raise ManifestError(tuple(findings)) from error
    finally:
        mooring.leave()


def _model(loaded: Loaded, section: schema.SklearnModel | schema.FunctionModel) -> Model:
    if isinstance(section, schema.SklearnModel):
        return _sklearn(loaded, section)
    return FunctionModel(find_function(section.call, loaded.root), Threads())


def _section(
    loaded: Loaded, name: str
) -> schema.LlamaModel | schema.SklearnModel | schema.FunctionModel:
    """Find the model's section.

    Raises:
        ManifestError: There is none, or it is of a kind that needs no runner.
    """
    section = loaded.manifest.models.get(name)
    if section is None:
        raise ManifestError((f"kind: there is no model {name}",))
    if isinstance(section, schema.OpenAIModel):
        raise ManifestError(("kind: openai models run elsewhere and have no runner",))
    return section


def _sklearn(loaded: Loaded, section: schema.SklearnModel) -> Model:
    from lockgate.ai.models.skops_file import load_estimator

    estimator = load_estimator(loaded.file(section.file), section.sha256, section.trust)
    from lockgate.ai.models.estimator import SklearnModel  # needs what was just found installed

    # Columns go in by position, in the order of `features`; scikit-learn would remark on it.
    warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
    one_at_a_time = Threads(1)  # scikit-learn changes warning filters, which threads share
    return SklearnModel(estimator, section.features, section.labels, one_at_a_time)


def _serve_llama(
    loaded: Loaded, section: schema.LlamaModel, mooring: Mooring, token: str
) -> NoReturn:
    path = loaded.file(section.file)
    verify(path, section.sha256)
    settings = LlamaSettings(path, section.context, section.parallel, section.threads)
    mooring.clear()
    server = serve_llama(settings, mooring.path, token)
    mooring.moored()
    uvloop.run(_until_told())
    mooring.leave()
    _end_now(server)


async def _serve_frames(model: Model, mooring: Mooring) -> None:
    hosting = Hosting(model, SystemClock())
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(hosting.visitor, sock=mooring.listen())
    await _until_told()
    mooring.leave()
    server.close()
    await hosting.close(GRACE_S)
    if hosting.tasks:
        _end_now(server)


async def _until_told() -> None:
    """Say that the model is ready; wait for a signal, or for the supervisor's end."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    if _is_pipe(sys.stdin.fileno()):
        await loop.connect_read_pipe(lambda: Lifeline(told), sys.stdin)
    print(READY, file=sys.stderr, flush=True)  # noqa: T201 — the supervisor waits for it
    await told.wait()


def _is_pipe(descriptor: int) -> bool:
    """Tell a supervisor's pipe from a terminal or a file, whose end means nothing."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _end_now(_kept: object) -> NoReturn:
    """End without waiting for threads that may never come back: Python's own exit would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lockgate.processes.runner")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--env")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--index", type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
