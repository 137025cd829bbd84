"""Manifest → running system. The only file that knows every class.

A `House` is what one worker serves: for every model its backend, for every service its path, and
around them the front door. All of it happens once, at start; nothing here is on the path of a call.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path as Folder
from typing import Any

import msgspec

from lockgate.ai.confidence.signal import LogprobJudge, ProbabilityJudge
from lockgate.ai.guards.screen import GuardSpec, Screen
from lockgate.ai.guards.screen import build as build_guard
from lockgate.ai.guards.stream import StreamScreen
from lockgate.ai.models.artefact import sha256_of
from lockgate.ai.models.frames import TensorForm
from lockgate.ai.models.function import FunctionBackend
from lockgate.ai.models.hosted import Hosted
from lockgate.ai.models.llama import LlamaBackend
from lockgate.ai.models.openai import OpenAIBackend
from lockgate.ai.models.sklearn import SklearnBackend
from lockgate.ai.models.wire import Origin, Wire
from lockgate.app.api.arrival import App
from lockgate.app.api.front import Check, Front, Metadata, Offer, TensorSpec, build_app
from lockgate.app.integrations.prometheus import Metrics
from lockgate.core.clock import Clock, SystemClock, SystemIds
from lockgate.core.errors import StoreError
from lockgate.core.exchange import Signal
from lockgate.core.money import Price, pico
from lockgate.core.payload import Json
from lockgate.core.ports import Backend, Contract
from lockgate.core.release import frozen
from lockgate.manifest import schema
from lockgate.manifest.load import Loaded
from lockgate.request.admit import Admit
from lockgate.request.cache import Answers, Recall, Remember
from lockgate.request.call import Caller, Target, Terms
from lockgate.request.cascade import Cascade
from lockgate.request.degrade import CacheRung, Degrade, Rung, TargetRung, UncertainRung
from lockgate.request.judge import Bar
from lockgate.request.path import Path
from lockgate.request.places import Places
from lockgate.request.record import Record
from lockgate.request.route import Route
from lockgate.request.screen import ScreenIn, ScreenOut
from lockgate.request.validate import SchemaContract, Validate
from lockgate.store.address import Address
from lockgate.store.generation import Generation
from lockgate.store.journal import Journal
from lockgate.store.keyring import Keyring
from lockgate.store.ping import Ping

_FIRST_KEYS_S = 2.0
"""How long a worker waits for the keys before it opens; a frozen database does not stop it."""


@dataclass(frozen=True, slots=True)
class House:
    """What one worker serves."""

    app: App
    backends: Mapping[str, Backend]
    journal: Journal
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    async def close(self) -> None:
        """Give up connections and tasks; the journal's last line has long been written."""
        for task in self.tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for backend in self.backends.values():
            await backend.close()
        self.journal.close()


async def open_house(loaded: Loaded, *, run_dir: Folder, token: str, worker: str) -> House:
    """Build everything that *loaded* describes.

    Args:
        loaded: The manifest, checked.
        run_dir: Where the runners' sockets are.
        token: What llama's own server demands of us.
        worker: This worker's name; its journal segment is called after it.

    Raises:
        LockgateError: Something it describes cannot be built.
    """
    clock, ids = SystemClock(), SystemIds()
    address = Address(loaded.store_url())
    journal = Journal(loaded.root / ".lockgate" / "journal", f"{worker}-{ids.new()}")
    metrics = Metrics(run_dir / "metrics")
    backends = {
        name: _backend(name, model, loaded, run_dir, token)
        for name, model in loaded.manifest.models.items()
    }
    record = Record((journal, metrics), clock)
    keyring, ping = Keyring(address), Ping(address)
    front = Front(
        offers=offers_of(loaded, backends, record, clock),
        identify=keyring,
        clock=clock,
        ids=ids,
        checks=lambda: _checks(ping, keyring, record, backends),
        metrics=metrics.render,
        turned_away=metrics.turned_away,
    )
    watch = await _watch_keys(Generation(address), keyring)
    return House(build_app(front), backends, journal, [watch])


def offers_of(
    loaded: Loaded, backends: Mapping[str, Backend], record: Record, clock: Clock
) -> dict[str, Offer]:
    """Build what the front door needs of each service, with *backends* by the models' names."""
    build = _Services(loaded, backends, record, clock)
    return {name: build.offer(name) for name in loaded.manifest.services}


async def _watch_keys(generation: Generation, keyring: Keyring) -> asyncio.Task[None]:
    """Keep the keys as the database has them; return once they have been read a first time."""
    loop, first = asyncio.get_running_loop(), asyncio.Event()

    def changed(_: int) -> None:
        keyring.refresh()
        loop.call_soon_threadsafe(first.set)

    task = asyncio.create_task(generation.watch(changed))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(first.wait(), _FIRST_KEYS_S)
    return task


async def _checks(
    ping: Ping, keyring: Keyring, record: Record, backends: Mapping[str, Backend]
) -> tuple[Check, ...]:
    """Look whether calls would be answered now: one real read, and every model's own word.

    A database that does not answer is no reason to turn callers away once the keys are known:
    calls go on, and the ledger follows when it is back. Nor is somebody else's model: its outage
    is what ladders are for.
    """
    try:
        await ping()
        store = Check(name="store", ok=True)
    except StoreError as error:
        store = Check(name="store", ok=False, detail=str(error), vital=not keyring.known)
    said = "" if not record.failing else "calls cannot be written to the journal; is the disk full?"
    journal = Check(name="journal", ok=not said, detail=said)
    ready = await asyncio.gather(*(backend.ready() for backend in backends.values()))
    models = (
        Check(
            name=f"model {name}",
            ok=ok,
            detail="" if ok else "nothing answers for it",
            vital=not isinstance(backends[name], OpenAIBackend),
        )
        for name, ok in zip(backends, ready, strict=True)
    )
    return (store, journal, *models)


def _backend(
    name: str, model: schema.Model, loaded: Loaded, run_dir: Folder, token: str
) -> Backend:
    if isinstance(model, schema.OpenAIModel):
        key = {} if model.key is None else {"Authorization": f"Bearer {loaded.secret(model.key)}"}
        return OpenAIBackend(name, _wire(Origin.parse(model.url), key, model), model=model.model)
    sockets = tuple(run_dir / f"{name}-{index}.sock" for index in range(model.replicas))
    if isinstance(model, schema.LlamaModel):
        key = {"Authorization": f"Bearer {token}"}
        wires = (_wire(Origin.at_socket(str(path)), key, model) for path in sockets)
        asked = (OpenAIBackend(name, wire, model=name, dialect="llama") for wire in wires)
        return LlamaBackend(name, asked)
    if isinstance(model, schema.SklearnModel):
        return SklearnBackend(name, Hosted(name, sockets))
    return FunctionBackend(name, Hosted(name, sockets))


def _wire(
    origin: Origin, headers: dict[str, str], model: schema.OpenAIModel | schema.LlamaModel
) -> Wire:
    limit = model.connections if isinstance(model, schema.OpenAIModel) else 256
    return Wire(origin, headers=headers, limit=limit, connect_timeout=model.timeouts.connect)


def _price(price: schema.Price) -> Price:
    return Price(
        input_token=pico(price.input),
        output_token=pico(price.output),
        call=pico(price.per_call),
        hour=pico(price.per_hour),
    )


class _Services:
    """Builds the path of one service after the other."""

    def __init__(
        self, loaded: Loaded, backends: Mapping[str, Backend], record: Record, clock: Clock
    ) -> None:
        self._loaded = loaded
        self._backends = backends
        self._record = record
        self._clock = clock
        self._digests: dict[str, str] = {}

    def offer(self, name: str) -> Offer:
        """Build what the front door needs of the service called *name*."""
        service = self._loaded.manifest.services[name]
        release = frozen(name, self._parts(service)).digest
        return Offer(
            name=name,
            kind=service.kind,
            path=self._path(name, service, release),
            body_limit=service.limits.body,
            deadline_s=service.deadline,
            created=int(self._loaded.path.stat().st_mtime),
            release=release,
            purpose=service.purpose,
            metadata=self._metadata(service),
            ready=self._backends[service.targets[0]].ready,
        )

    def _path(self, name: str, service: schema.Service, release: str) -> Path:
        kept = None
        if service.cache is not None:
            kept = Answers(service.cache.entries, self._clock)
        caller = Caller(self._targets(), self._terms(service), self._clock)
        ladder = tuple(self._rung(rung, caller, kept) for rung in service.ladder)
        inward = _guard(service.guards.inward)
        outward = _guard(service.guards.outward)
        if outward is not None:
            outward.hold("")  # compiles what streams need, so that the first one need not wait
        return Path(
            towards=(
                Admit(
                    self._places(name, service.limits),
                    self._record,
                    degrades_on_overload=any("overload" in rung.on for rung in ladder),
                ),
                Validate(self._contract(service.contract.input)),
                ScreenIn(inward, _guard(_uninjected(service.guards.inward))),
                Recall(kept, service.cache.fresh if service.cache else 0.0, release),
                Route(release, service.targets),
                Cascade(caller, self._clock),
            ),
            back=(
                Degrade(ladder),
                ScreenOut(outward, _streams(outward)),
                Remember(kept),
            ),
            record=self._record,
            clock=self._clock,
        )

    def _places(self, name: str, limits: schema.Limits) -> Places:
        workers = self._loaded.manifest.serve.workers
        return Places(
            name, limit=-(-limits.concurrent // workers), queue=-(-limits.queue // workers)
        )

    def _targets(self) -> dict[str, Target]:
        return {
            name: Target(
                name=name,
                backend=self._backends[name],
                price=_price(model.price),
                first_token=model.timeouts.first_token,
                total=model.timeouts.total,
            )
            for name, model in self._loaded.manifest.models.items()
        }

    def _terms(self, service: schema.Service) -> Terms:
        confidence, output = service.confidence, service.contract.output
        signal = Signal.NONE if confidence is None else Signal(confidence.signal)
        judge = {Signal.PROBABILITY: ProbabilityJudge(), Signal.LOGPROB: LogprobJudge()}.get(signal)
        return Terms(
            instructions=self._text(service.prompt).strip() if service.prompt else "",
            output_schema=msgspec.Raw(self._text(output).encode()) if output else None,
            contract=self._contract(output),
            signal=signal,
            bar=Bar(judge, 0.0 if confidence is None else confidence.at_least),
        )

    def _rung(self, rung: schema.Rung, caller: Caller, kept: Answers | None) -> Rung:
        on = frozenset[str](rung.on)
        if isinstance(rung, schema.TargetRung):
            return TargetRung(rung.target, on, caller)
        if isinstance(rung, schema.CacheRung):
            assert kept is not None
            return CacheRung(rung.up_to, on, kept)
        return UncertainRung(rung.uncertain, on)

    def _contract(self, file: str | None) -> Contract | None:
        return None if file is None else SchemaContract(msgspec.json.decode(self._text(file)))

    def _text(self, file: str) -> str:
        return self._loaded.file(file).read_text("utf-8")

    def _metadata(self, service: schema.Service) -> Callable[[], Awaitable[Metadata]] | None:
        backend = self._backends[service.targets[0]]
        if not isinstance(backend, SklearnBackend):
            return None

        async def describe() -> Metadata:
            told = await backend.metadata()
            return Metadata(
                platform="lockgate_sklearn",
                inputs=tuple(map(_spec, told.inputs)),
                outputs=tuple(map(_spec, told.outputs)),
            )

        return describe

    def _parts(self, service: schema.Service) -> dict[str, Json]:
        """Collect everything that changes the service's answers; prices and limits do not."""
        models = {*service.targets}
        models.update(rung.target for rung in service.ladder if isinstance(rung, schema.TargetRung))
        files = (service.prompt, service.contract.input, service.contract.output)
        terms = service.model_dump(
            mode="json",
            by_alias=True,
            include={"kind", "targets", "ladder", "confidence", "guards"},
        )
        return {
            "terms": terms,
            "texts": [self._text(file) if file else "" for file in files],
            "models": {name: self._model_parts(name) for name in sorted(models)},
        }

    def _model_parts(self, name: str) -> Json:
        model = self._loaded.manifest.models[name]
        told: dict[str, Any] = model.model_dump(
            mode="json", exclude={"price", "timeouts", "replicas", "key", "connections", "threads"}
        )
        file = told.pop("file", None)
        if file is not None:
            told["sha256"] = told.get("sha256") or self._digest(file)
        return told

    def _digest(self, file: str) -> str:
        if file not in self._digests:
            self._digests[file] = sha256_of(self._loaded.file(file))
        return self._digests[file]


def _spec(tensor: TensorForm) -> TensorSpec:
    return TensorSpec(name=tensor.name, datatype=tensor.datatype, shape=tuple(tensor.shape))


GuardEntries = tuple[schema.GuardName | dict[schema.GuardName, schema.Action], ...]


def _guard(entries: GuardEntries) -> Screen | None:
    specs = [
        GuardSpec(entry) if isinstance(entry, str) else GuardSpec(*next(iter(entry.items())))
        for entry in entries
    ]
    return build_guard(specs) if specs else None


def _uninjected(entries: GuardEntries) -> GuardEntries:
    """Leave out the search for instructions: the application's own texts are there to instruct."""
    return tuple(entry for entry in entries if entry != "injection" and "injection" not in entry)


def _streams(guard: Screen | None) -> Callable[[], StreamScreen]:
    """Make what screens one stream after the other; never asked for without a guard."""

    def fresh() -> StreamScreen:
        assert guard is not None
        return StreamScreen(guard)

    return fresh
