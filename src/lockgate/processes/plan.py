"""What a server consists of: which processes, started how, from which settings."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lockgate.core.errors import ManifestError
from lockgate.manifest.findings import rendered
from lockgate.manifest.load import Loaded, examine
from lockgate.manifest.schema import LlamaModel, Manifest, OpenAIModel
from lockgate.processes.child import Role, Spec


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for; None leaves the manifest's own setting.

    Attributes:
        grace: Seconds that calls in flight have to finish once the server is told to stop.
    """

    manifest: Path
    env: str | None = None
    host: str | None = None
    port: int | None = None
    workers: int | None = None
    grace: int = 20


def load_for_serving(asked: Asked, environ: Mapping[str, str]) -> Loaded:
    """Load the manifest; what was asked for goes before what it says.

    Raises:
        ManifestError: It cannot be served, or a secret that it needs is not there; holds all
            findings.
    """
    examination = examine(asked.manifest, env=asked.env, environ=environ)
    loaded = examination.loaded
    if loaded is None:
        raise ManifestError(examination.errors)
    unset = [replace(finding, severity="error") for finding in examination.unset()]
    if unset:
        raise ManifestError(tuple(rendered(finding, examination.source) for finding in unset))
    wanted = {"host": asked.host, "port": asked.port, "workers": asked.workers}
    given = {name: value for name, value in wanted.items() if value is not None}
    serve = loaded.manifest.serve.model_copy(update=given)
    manifest = loaded.manifest.model_copy(update={"serve": serve})
    return replace(loaded, manifest=manifest)


def longest_socket_name(manifest: Manifest) -> int:
    """Count the bytes of the longest name of a runner's socket."""
    return max((len(f"{label}.sock") for label in runner_labels(manifest)), default=0)


def runner_labels(manifest: Manifest) -> tuple[str, ...]:
    """Name every model replica that runs in a process of its own: `<model>-<index>`."""
    return tuple(f"{name}-{index}" for name, index in _replicas(manifest))


def children(asked: Asked, manifest: Manifest, run: Path, door: int) -> tuple[Spec, ...]:
    """List the processes of a server; *door* is the listening socket's file descriptor."""
    common = _common(asked, run)
    runners = [
        Spec(
            Role.RUNNER,
            f"{name}-{index}",
            _module("runner", *common, "--model", name, "--index", str(index)),
            may_quote=_may_quote(manifest, name),
        )
        for name, index in _replicas(manifest)
    ]
    steward = Spec(Role.STEWARD, "", _module("steward", *common))
    count = manifest.serve.workers
    workers = [_worker(number, count, asked, common, door) for number in range(count)]
    return (*runners, steward, *workers)


def _may_quote(manifest: Manifest, name: str) -> bool:
    """Tell who says what nobody can vouch for; functions and estimators have our own ear."""
    return isinstance(manifest.models[name], LlamaModel) and not manifest.serve.quote_errors


def _worker(number: int, count: int, asked: Asked, common: tuple[str, ...], door: int) -> Spec:
    own = ("--name", f"worker-{number}", "--fd", str(door))
    share = ("--workers", str(count), "--grace", str(asked.grace))
    return Spec(Role.WORKER, str(number), _module("worker", *common, *own, *share), fds=(door,))


def _common(asked: Asked, run: Path) -> tuple[str, ...]:
    env = ("--env", asked.env) if asked.env else ()
    return ("--manifest", str(asked.manifest.absolute()), *env, "--run", str(run))


def _module(name: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"lockgate.processes.{name}", *words)


def _replicas(manifest: Manifest) -> Iterator[tuple[str, int]]:
    for name, model in manifest.models.items():
        if not isinstance(model, OpenAIModel):
            yield from ((name, index) for index in range(model.replicas))
