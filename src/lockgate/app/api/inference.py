"""The Open Inference Protocol V2 over REST, with the binary tensor data extension both ways.

An answer that is not sure enough still has its numbers, for a tensor has no words to say so:
`parameters.outcome` and `x-lockgate-outcome` are `uncertain` then.
"""

from __future__ import annotations

import msgspec

from lockgate import __version__
from lockgate.app.api import problems
from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.body import read_body
from lockgate.app.api.calls import call_of, conduct, find, identify, tell_whole
from lockgate.app.api.facts import Facts, facts_of
from lockgate.app.api.infer_body import Inference, parse_infer
from lockgate.app.api.offer import Front, Metadata, Offer, TensorSpec
from lockgate.app.api.tensors import as_bytes, as_list
from lockgate.core.errors import UnknownModel
from lockgate.core.exchange import Exchange, Surface
from lockgate.core.payload import Json, Tensor, TensorsReply

_LENGTH = b"inference-header-content-length"


async def server(_front: Front, arrival: Arrival) -> None:
    """Describe this server."""
    told = {"name": "lockgate", "version": __version__, "extensions": ["binary_tensor_data"]}
    arrival.respond(Response(200, msgspec.json.encode(told)))


async def live(_front: Front, arrival: Arrival) -> None:
    """Say that this process answers."""
    arrival.respond(Response(200, b'{"live":true}'))


async def ready(front: Front, arrival: Arrival) -> None:
    """Say whether calls would be answered now."""
    checks = await front.checks()
    _say_ready(arrival, ready=all(check.ok for check in checks if check.vital))


def _say_ready(arrival: Arrival, *, ready: bool, name: str = "") -> None:
    told: dict[str, Json] = {"name": name, "ready": ready} if name else {"ready": ready}
    arrival.respond(Response(200 if ready else 503, msgspec.json.encode(told)))


async def model(front: Front, arrival: Arrival) -> None:
    """Describe a service's tensors."""
    identify(front, arrival)
    offer = _found(front, arrival)
    told = await _metadata(offer)
    body = {
        "name": offer.name,
        "versions": [_version(offer)],
        "platform": told.platform,
        "inputs": [_spec(spec) for spec in told.inputs],
        "outputs": [_spec(spec) for spec in told.outputs],
    }
    arrival.respond(Response(200, msgspec.json.encode(body)))


async def _metadata(offer: Offer) -> Metadata:
    if offer.metadata is None:
        raise _no_tensors(offer)
    return await offer.metadata()


def _found(front: Front, arrival: Arrival) -> Offer:
    offer = find(front, arrival.name, "predict")
    if arrival.version and arrival.version != _version(offer):
        raise UnknownModel(f"The model `{offer.name}` has no version `{arrival.version[:80]}`.")
    return offer


def _no_tensors(offer: Offer) -> UnknownModel:
    return UnknownModel(
        f"The service `{offer.name}` takes no tensors; it is called at"
        f" /v1/services/{offer.name}/predict."
    )


def _version(offer: Offer) -> str:
    return offer.release or "1"


def _spec(spec: TensorSpec) -> dict[str, Json]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


async def model_ready(front: Front, arrival: Arrival) -> None:
    """Say whether a service would answer now."""
    identify(front, arrival)
    offer = _found(front, arrival)
    _say_ready(arrival, ready=await offer.ready(), name=offer.name)


async def infer(front: Front, arrival: Arrival) -> None:
    """Answer one call that carries tensors."""
    caller = identify(front, arrival)
    offer = _taking_tensors(front, arrival)
    body = read_body(arrival, offer.body_limit)
    asked = parse_infer(body, arrival.headers.get(_LENGTH))
    call = call_of(arrival, offer, caller, Surface.INFER, asked.tensors)

    def tell(exchange: Exchange) -> None:
        tell_whole(arrival, offer, exchange, answer_to(asked, offer, exchange))

    await conduct(arrival, offer, call, problems.inference, tell)


def infer_admits(front: Front, arrival: Arrival) -> int:
    """Say how large the body may be.

    Raises:
        LockgateError: It need not be awaited.
    """
    identify(front, arrival)
    return _taking_tensors(front, arrival).body_limit


def _taking_tensors(front: Front, arrival: Arrival) -> Offer:
    offer = _found(front, arrival)
    if offer.metadata is None:
        raise _no_tensors(offer)
    return offer


def answer_to(asked: Inference, offer: Offer, exchange: Exchange) -> Response:
    """Write the answer; outputs that were asked for in binary follow the JSON as raw bytes."""
    assert exchange.answer is not None
    reply = exchange.answer.reply
    assert isinstance(reply, TensorsReply)
    facts = facts_of(exchange)
    binary: list[bytes] = []
    outputs = [
        _output(tensor, asked, binary)
        for tensor in reply.outputs
        if not asked.tensors.outputs or tensor.name in asked.tensors.outputs
    ]
    head = msgspec.json.encode(
        {
            "model_name": offer.name,
            "model_version": _version(offer),
            "id": asked.id or exchange.call.id,
            "parameters": _parameters(facts),
            "outputs": outputs,
        }
    )
    headers = facts.headers()
    if not binary:
        return Response(200, head, headers=headers)
    length = b"inference-header-content-length: %d\r\n" % len(head)
    body = b"".join((head, *binary))
    return Response(200, body, b"application/octet-stream", headers + length)


def _output(tensor: Tensor, asked: Inference, binary: list[bytes]) -> dict[str, Json]:
    told: dict[str, Json] = {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
    }
    if asked.wants_binary(tensor.name):
        binary.append(as_bytes(tensor))
        told["parameters"] = {"binary_data_size": len(binary[-1])}
    else:
        told["data"] = as_list(tensor)
    return told


def _parameters(facts: Facts) -> dict[str, Json]:
    told: dict[str, Json] = {"outcome": facts.outcome, "cost_usd": facts.cost_usd}
    if facts.confidence is not None:
        told["confidence"] = facts.confidence
    if facts.rung is not None:
        told["rung"] = facts.rung
    return told
