"""Rules that can never match, and parts that do not go with the service's kind.

A ladder is followed with the set of troubles that can still be there at each rung: a rung that
meets none of them is dead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockgate.manifest.findings import Finding, listed
from lockgate.manifest.place import Node
from lockgate.manifest.schema import (
    ALL_TROUBLE,
    CacheRung,
    Manifest,
    Rung,
    Service,
    TargetRung,
    UncertainRung,
)

_SIGNALS: Mapping[str, str] = {
    "llama": "logprob",
    "openai": "logprob",
    "sklearn": "probability",
    "function": "probability",
}
"""The confidence signal that each kind of model can give."""


def dead(manifest: Manifest, name: str, node: Node) -> Iterator[Finding]:
    """Find what can never match in the service *name*, which stands at *node*."""
    service = manifest.services[name]
    yield from _repeated(service, node)
    yield from _unmatched(service, node)
    yield from _without_cache(service, node)
    yield from _signal(manifest, service, node)
    yield from _kind(manifest, service, node)


def _at(node: Node, *trace: str | int) -> Node:
    return node.nearest(trace)


def _repeated(service: Service, node: Node) -> Iterator[Finding]:
    """Find rungs that ask a model again that was asked before."""
    tried = set(service.targets)
    for index, rung in enumerate(service.ladder):
        if not isinstance(rung, TargetRung):
            continue
        if rung.target in tried:
            message = f"the ladder comes back to `{rung.target}`, which was tried before"
            at = _at(node, "ladder", index, "target").at
            yield Finding("LG1301", at, message, "name another model, or remove the rung")
        tried.add(rung.target)


def _unmatched(service: Service, node: Node) -> Iterator[Finding]:
    """Find rungs and words of `on` that meet no trouble."""
    from_models = set(_troubles(service))
    possible = set(from_models)
    for index, rung in enumerate(service.ladder):
        place = _at(node, "ladder", index)
        yield from _words(rung, place, from_models)
        if from_models & set(rung.on) and not possible & set(rung.on):
            yield _shadowed(service, node, index)
        elif isinstance(rung, UncertainRung):
            possible -= set(rung.on)
        elif isinstance(rung, TargetRung) and possible & set(rung.on):
            possible = (possible - set(rung.on)) | from_models


def _troubles(service: Service) -> Iterator[str]:
    """List the troubles that a model of this service can give."""
    yield from ("error", "timeout", "overload")
    if service.confidence is not None and service.confidence.at_least > 0:
        yield "low_confidence"
    if service.contract.output is not None:
        yield "contract"


def _words(rung: Rung, place: Node, possible: set[str]) -> Iterator[Finding]:
    written = place.part("on")
    if written is None or set(rung.on) == set(ALL_TROUBLE):  # all of them is the default
        return
    if not rung.on:
        message = "this rung takes over on nothing"
        yield Finding("LG1305", written.spot, message, "leave `on` out to take over on everything")
    for word in written.items:
        if word.value == "low_confidence" and "low_confidence" not in possible:
            message = "`low_confidence` can never be: the service demands no confidence"
            advice = "write `confidence: {signal: …, at_least: 80%}`"
            yield Finding("LG1303", word.at, message, advice)
        if word.value == "contract" and "contract" not in possible:
            message = "`contract` can never be: the service demands no form of its output"
            advice = "write `contract: {output: FILE}`, a JSON Schema"
            yield Finding("LG1304", word.at, message, advice)


def _shadowed(service: Service, node: Node, index: int) -> Finding:
    on = set(service.ladder[index].on)
    above = next(
        i
        for i, rung in enumerate(service.ladder[:index])
        if isinstance(rung, UncertainRung) and on & set(rung.on)
    )
    line = _at(node, "ladder", above).spot.line
    message = f"this rung can never match: the `uncertain` in line {line} always answers before it"
    advice = "put `uncertain` last, or say with `on` when it answers"
    return Finding("LG1302", _at(node, "ladder", index).spot, message, advice)


def _without_cache(service: Service, node: Node) -> Iterator[Finding]:
    for index, rung in enumerate(service.ladder):
        if isinstance(rung, CacheRung) and service.cache is None:
            message = "nothing is cached that this rung could give again"
            at = _at(node, "ladder", index, "cache").spot
            yield Finding("LG1307", at, message, "add `cache: {fresh: 10m}` to the service")


def _signal(manifest: Manifest, service: Service, node: Node) -> Iterator[Finding]:
    if service.confidence is None:
        return
    rungs = (rung.target for rung in service.ladder if isinstance(rung, TargetRung))
    asked = [manifest.models.get(name) for name in (*service.targets, *rungs)]
    given = {_SIGNALS[model.kind] for model in asked if model is not None}
    if None not in asked and service.confidence.signal not in given:
        signal = service.confidence.signal
        message = f"no model of this service gives `{signal}`, so no answer would have confidence"
        at = _at(node, "confidence", "signal").spot
        yield Finding("LG1306", at, message, f"these models give {listed(sorted(given))}")


def _kind(manifest: Manifest, service: Service, node: Node) -> Iterator[Finding]:
    """Find answers and models that do not fit `chat` or `predict`."""
    for index, rung in enumerate(service.ladder):
        if isinstance(rung, UncertainRung) and isinstance(rung.uncertain, str) != (
            service.kind == "chat"
        ):
            form = "a sentence" if service.kind == "chat" else "a JSON object"
            at = _at(node, "ladder", index, "uncertain").spot
            message = f"a `{service.kind}` service says {form} when it is uncertain"
            example = "I am not certain." if service.kind == "chat" else "{label: null}"
            yield Finding("LG1110", at, message, f"write e.g. `uncertain: {example}`")
    for index, name in enumerate(service.targets):
        model = manifest.models.get(name)
        if service.kind == "chat" and model is not None and model.kind == "sklearn":
            message = f"`{name}` is a scikit-learn model and cannot answer chats"
            at = _at(node, "targets", index).at
            yield Finding("LG1110", at, message, "make it a service of `kind: predict`")
