"""A runner: one replica of one model in a process of its own, so that nothing it does harms others.

Runs as `python -m lockgate.processes.runner`. It serves on `RUN/<model>-<index>.sock`, says
`ready` on stderr once it does, and ends when it gets SIGTERM or when the supervisor is gone
(stdin ends). If the model cannot be loaded it says why in one line and ends with code 1. When all
its threads are lost in calls that never came back it says so and ends, too.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
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
from lockgate.processes.discretion import hush
from lockgate.processes.lifeline import Lifeline
from lockgate.processes.mooring import Mooring

TOKEN: Final = "LOCKGATE_RUN_TOKEN"  # noqa: S105 — a variable's name
GRACE_S: Final = 5.0
"""Seconds that calls under way have to finish once the runner is told to end."""
LOST_S: Final = 5.0
"""How long all threads may be lost before the runner ends for it; longer if it took longer to load:
a thread that comes back before a successor could be ready is worth waiting for."""
LOST_CODE: Final = 75
"""Exit code of a runner that ends for want of threads (EX_TEMPFAIL in sysexits.h)."""


@dataclass(frozen=True, slots=True)
class Start:
    """What one runner has to go by, whatever it serves.

    Attributes:
        name: The model's.
        token: What callers of llama.cpp's own server must show.
        began: When this process did, monotonic seconds.
        quote: What exceptions say may be shown on stderr.
    """

    name: str
    mooring: Mooring
    lifeline: Lifeline
    token: str
    began: float
    quote: bool


def main(words: Sequence[str] | None = None) -> int:
    """Run one replica; the exit code is for the supervisor."""
    began, lifeline = time.monotonic(), Lifeline()
    asked = _arguments().parse_args(words)
    token = os.environ.pop(TOKEN, "")  # nothing the model runs needs it
    try:
        loaded = load(asked.manifest, env=asked.env, environ=os.environ)
        mooring = Mooring(asked.run / f"{asked.model}-{asked.index}.sock")
        quote = loaded.manifest.serve.quote_errors
        _run(loaded, Start(asked.model, mooring, lifeline, token, began, quote))
    except LockgateError as error:
        print(f"error[{error.code}]: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return 0


def _run(loaded: Loaded, start: Start) -> None:
    try:
        section = _section(loaded, start.name)
        if isinstance(section, schema.LlamaModel):
            _serve_llama(loaded, section, start)
        else:
            # Built before the loop runs: what it imports may want to run one of its own.
            threads = _threads(section)
            model = _model(loaded, section, threads)
            uvloop.run(_serve_frames(model, threads, start, _what(start.name, section)))
    except ManifestError as error:
        findings = (f"{loaded.path.name}: models.{start.name}.{each}" for each in error.findings)
        raise ManifestError(tuple(findings)) from error
    finally:
        start.mooring.leave()


def _what(name: str, section: schema.SklearnModel | schema.FunctionModel) -> str:
    """Name what is called, for the operator."""
    return f"{name} ({section.call})" if isinstance(section, schema.FunctionModel) else name


def _threads(section: schema.SklearnModel | schema.FunctionModel) -> Threads:
    """Make one for scikit-learn, which changes warning filters: threads would share them."""
    return Threads(1) if isinstance(section, schema.SklearnModel) else Threads()


def _model(
    loaded: Loaded, section: schema.SklearnModel | schema.FunctionModel, threads: Threads
) -> Model:
    if isinstance(section, schema.SklearnModel):
        return _sklearn(loaded, section, threads)
    quote = loaded.manifest.serve.quote_errors
    return FunctionModel(find_function(section.call, loaded.root), threads, quote=quote)


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


def _sklearn(loaded: Loaded, section: schema.SklearnModel, threads: Threads) -> Model:
    from lockgate.ai.models.skops_file import load_estimator

    estimator = load_estimator(loaded.file(section.file), section.sha256, section.trust)
    from lockgate.ai.models.estimator import SklearnModel  # needs what was just found installed

    # Columns go in by position, in the order of `features`; scikit-learn would remark on it.
    warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
    quote = loaded.manifest.serve.quote_errors
    return SklearnModel(estimator, section.features, section.labels, threads, quote=quote)


def _serve_llama(loaded: Loaded, section: schema.LlamaModel, start: Start) -> NoReturn:
    path = loaded.file(section.file)
    verify(path, section.sha256)
    settings = LlamaSettings(path, section.context, section.parallel, section.threads)
    start.mooring.clear()
    server = serve_llama(settings, start.mooring.path, start.token)
    start.mooring.moored()
    uvloop.run(_until_told(start.lifeline))
    start.mooring.leave()
    _end_now(0, server)


async def _serve_frames(model: Model, threads: Threads, start: Start, what: str) -> None:
    hush(quote=start.quote)
    hosting = Hosting(model, SystemClock(), quote=start.quote)
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(hosting.visitor, sock=start.mooring.listen())
    patience = max(LOST_S, time.monotonic() - start.began)
    told = loop.create_task(_until_told(start.lifeline))
    lost = loop.create_task(threads.until_all_lost(patience))
    await asyncio.wait((told, lost), return_when=asyncio.FIRST_COMPLETED)
    start.mooring.leave()
    server.close()
    if lost.done():
        _say(f"{lost.result()} calls of {what} never came back, though nobody waits for them")
        _say("no thread is left for others: this runner ends, to be started again")
        await hosting.forsake(threads.within, GRACE_S)
        _end_now(LOST_CODE, server)
    await hosting.close(GRACE_S)
    if hosting.tasks:
        _end_now(0, server)
    lost.cancel()


async def _until_told(lifeline: Lifeline) -> None:
    """Say that the model is ready; wait for a signal, or for the supervisor's end."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    lifeline.hold(told.set)
    _say(READY)  # the supervisor waits for it
    await told.wait()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 — a runner's log is its stderr


def _end_now(code: int, _kept: object) -> NoReturn:
    """End without waiting for threads that may never come back: Python's own exit would."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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
