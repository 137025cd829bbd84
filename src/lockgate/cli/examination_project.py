"""Checks of the project: manifest, models, secrets, store, keys, and the door."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from lockgate.cli.examination import Check, Ground, Level, Line
from lockgate.core.errors import ManifestError
from lockgate.manifest.findings import Finding
from lockgate.manifest.kept import references
from lockgate.manifest.load import Loaded
from lockgate.manifest.schema import EnvSecret, FileSecret, LlamaModel, OpenAIModel, SklearnModel
from lockgate.processes import front_door
from lockgate.processes.serving import FOLDER, running
from lockgate.store.address import Address
from lockgate.store.engine import Store, open_store
from lockgate.store.keys import Key, Keys
from lockgate.store.migrate import current, newest

MUCH_BACKLOG = 64_000_000
"""Bytes of journal that the ledger does not have yet."""
NEEDS = {"llama": ("xllamacpp",), "sklearn": ("sklearn", "skops"), "postgres": ("psycopg",)}
"""What must be importable for each extra of the package."""


def _manifest(ground: Ground) -> Iterator[Line]:
    path, findings = ground.manifest, ground.examination.findings
    for finding in findings:
        yield _finding(ground, finding)
    if ground.loaded is None and not findings:
        yield Line("manifest", Level.FAIL, f"{path} cannot be served", f"lockgate check {path}")
    elif ground.loaded is not None:
        services = len(ground.loaded.manifest.services)
        models = len(ground.loaded.manifest.models)
        yield Line("manifest", Level.OK, f"{path}: {services} service(s), {models} model(s)")


def _finding(ground: Ground, finding: Finding) -> Line:
    level = Level.FAIL if finding.severity == "error" else Level.WARN
    place = f"{ground.manifest}:{finding.at.line}:{finding.at.column}"
    mend = finding.help or f"lockgate check {ground.manifest}"
    return Line("manifest", level, f"{place}: {finding.message} [{finding.code}]", mend)


def _models(loaded: Loaded) -> Iterator[Line]:
    for name, model in loaded.manifest.models.items():
        if isinstance(model, LlamaModel | SklearnModel):
            yield _model_file(loaded, name, model)
        else:
            where = model.url if isinstance(model, OpenAIModel) else model.call
            yield Line("models", Level.OK, f"{name}: {model.kind}, {where}")


def _model_file(loaded: Loaded, name: str, model: LlamaModel | SklearnModel) -> Line:
    size = loaded.file(model.file).stat().st_size
    said = f"{name}: {model.kind}, {size / 1e6:.1f} MB"
    if model.sha256 is None:
        mend = f"set models.{name}.sha256 to what `sha256sum` says of {model.file}"
        return Line("models", Level.WARN, f"{said}; no digest, so it could be swapped", mend)
    return Line("models", Level.OK, f"{said}, digest as in the manifest")


def _extras(loaded: Loaded) -> Iterator[Line]:
    used = {model.kind for model in loaded.manifest.models.values()}
    if not _address(loaded).is_sqlite:
        used = {*used, "postgres"}
    for extra in sorted(used & NEEDS.keys()):
        lacking = [name for name in NEEDS[extra] if importlib.util.find_spec(name) is None]
        if lacking:
            said = f"{extra} needs {', '.join(lacking)}, which is not installed"
            yield Line("extras", Level.FAIL, said, f"pip install 'lockgate[{extra}]'")
        else:
            yield Line("extras", Level.OK, f"{extra}: {', '.join(NEEDS[extra])} installed")


def _secrets(loaded: Loaded) -> Iterator[Line]:
    for trace, secret in references(loaded.manifest):
        named = f"{'.'.join(map(str, trace))}: {_reference(secret)}"
        try:
            loaded.secret(secret)
            yield Line("secrets", Level.OK, f"{named} is there")
        except ManifestError:
            yield Line("secrets", Level.FAIL, f"{named} is not there", _provide(secret))


def _reference(secret: EnvSecret | FileSecret) -> str:
    return f"variable {secret.env}" if isinstance(secret, EnvSecret) else f"file {secret.file}"


def _provide(secret: EnvSecret | FileSecret) -> str:
    if isinstance(secret, EnvSecret):
        return f"export {secret.env}=…"
    return f"write it to {secret.file}, readable by Lockgate only"


def _store(loaded: Loaded) -> Iterator[Line]:
    with closing(open_store(loaded.store_url())) as store:
        found, known = current(store), newest()
        mend = "lockgate serve (or lockgate key create) brings it up to date"
        if found is None:
            yield Line("store", Level.WARN, f"{store.shown} has no tables yet", mend)
        elif found > known:
            said = f"{store.shown} is at revision {found}, this Lockgate knows {known}"
            yield Line("store", Level.FAIL, said, "pip install --upgrade lockgate")
        elif found < known:
            said = f"{store.shown} is at revision {found} of {known}"
            yield Line("store", Level.WARN, said, mend)
        else:
            yield Line("store", Level.OK, f"{store.shown}, revision {found}")


def _keys(loaded: Loaded) -> Iterator[Line]:
    valid = _valid_keys(loaded)
    if valid:
        yield Line("keys", Level.OK, f"{len(valid)} valid")
    else:
        said = "there is no valid API key, so every call gets 401"
        yield Line("keys", Level.WARN, said, "lockgate key create --tenant NAME")


def _valid_keys(loaded: Loaded) -> list[Key]:
    with closing(open_store(loaded.store_url())) as store:
        if current(store) is None:
            return []
        now = time.time_ns()
        return [
            key
            for key in Keys(store).list()
            if key.revoked_at is None and (key.expires_at is None or key.expires_at > now)
        ]


def _backlog(loaded: Loaded) -> Iterator[Line]:
    with closing(open_store(loaded.store_url())) as store:
        waiting = _waiting_bytes(loaded, store)
    said = f"{waiting / 1e6:.1f} MB of calls are not in the ledger yet"
    if waiting > MUCH_BACKLOG:
        mend = "lockgate serve takes them in; if it runs, look at what its steward says"
        yield Line("journal", Level.WARN, said, mend)
    else:
        yield Line("journal", Level.OK, said)


def _waiting_bytes(loaded: Loaded, store: Store) -> int:
    from sqlalchemy import select

    from lockgate.store import tables

    taken: dict[str, int] = {}
    if current(store) is not None:
        columns = tables.segments.c
        with store.read() as connection:
            rows = connection.execute(select(columns.name, columns.offset))
            taken = {row.name: row.offset for row in rows}
    segments = (loaded.root / FOLDER / "journal").glob("*.seg")
    return sum(max(0, path.stat().st_size - taken.get(path.name, 0)) for path in segments)


def _door(loaded: Loaded) -> Iterator[Line]:
    serve, server = loaded.manifest.serve, running(loaded.root)
    if server is not None:
        names = ", ".join(sorted(server.children))
        said = f"served at {server.url} by process {server.pid} ({names})"
        yield Line("port", Level.OK, said)
        return
    try:
        address = front_door.resolve(serve.host, serve.port)
        front_door.listen(address).close()
        yield Line("port", Level.OK, f"{serve.port} on {serve.host} is free")
    except front_door.CannotListen as error:
        yield Line("port", Level.FAIL, str(error), f"lockgate serve --port {serve.port + 1}")


def _posture(loaded: Loaded) -> Iterator[Line]:
    host = loaded.manifest.serve.host
    if front_door.resolve(host, 0).loopback:
        yield Line("exposure", Level.OK, f"{host}: only this machine can reach it")
    elif not _valid_keys(loaded):
        said = f"{host} can be reached by other machines and no key exists: serve will refuse"
        yield Line("exposure", Level.FAIL, said, "lockgate key create --tenant NAME")
    else:
        said = f"{host} can be reached by other machines, over plain HTTP"
        yield Line("exposure", Level.WARN, said, "put a TLS proxy in front, or set serve.host")


def _address(loaded: Loaded) -> Address:
    return Address(loaded.store_url())


def _served(name: str, look: Callable[[Loaded], Iterator[Line]]) -> Check:
    """Make a check of a manifest that is right; there is nothing to look at in another."""

    def looked(ground: Ground) -> Iterator[Line]:
        return iter(()) if ground.loaded is None else look(ground.loaded)

    return Check(name, looked)


PROJECT = (
    Check("manifest", _manifest),
    _served("models", _models),
    _served("extras", _extras),
    _served("secrets", _secrets),
    _served("store", _store),
    _served("keys", _keys),
    _served("journal", _backlog),
    _served("port", _door),
    _served("exposure", _posture),
)
"""In the order in which they are shown."""
