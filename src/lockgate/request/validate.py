"""Hold a call against the service's contract, before anything costs money.

Place   after admit
Reads   exchange.call.request
Writes  nothing
Leaves  the protocol's own rules (roles, shapes): the API has checked them while parsing; tensors:
        their form is in their datatype and shape
"""

from __future__ import annotations

from typing import Final

import jsonschema_rs
import msgspec

from lockgate.core.errors import InvalidCall
from lockgate.core.exchange import Exchange
from lockgate.core.payload import Chat, Json, Request, Tensors
from lockgate.core.ports import Contract

NAME: Final = "validate"

_SHOWN = 5


class SchemaContract:
    """A contract written as JSON Schema."""

    __slots__ = ("_is_valid", "_validator")

    def __init__(self, schema: Json) -> None:
        """Compile *schema*.

        Raises:
            ValueError: It is not a valid JSON Schema.
        """
        try:
            self._validator = jsonschema_rs.validator_for(schema)
        except jsonschema_rs.ValidationError as error:
            raise ValueError(str(error.message)) from error
        self._is_valid = self._validator.is_valid

    def findings(self, value: Json) -> tuple[str, ...]:
        """List what breaks the contract, each as `path: reason`; empty if nothing does."""
        if self._is_valid(value):
            return ()
        found: list[str] = []
        for error in self._validator.iter_errors(value):
            place = "/".join(str(step) for step in error.instance_path) or "(root)"
            found.append(f"{place}: {error.message}"[:300])
            if len(found) == _SHOWN:
                break
        return tuple(found)


class Validate:
    """Reject inputs that break the contract."""

    name = NAME

    def __init__(self, contract: Contract | None) -> None:
        self._contract = contract

    def __call__(self, exchange: Exchange) -> Exchange:
        """Check the input.

        Raises:
            InvalidCall: It breaks the contract; the message says where.
        """
        request = exchange.call.request
        if self._contract is None or isinstance(request, Tensors):
            return exchange
        found = self._contract.findings(_whole(request))
        if found:
            raise InvalidCall("the input breaks the service's contract: " + "; ".join(found))
        return exchange


def _whole(request: Request) -> Json:
    if isinstance(request, Chat):
        return msgspec.json.decode(request.body or msgspec.json.encode(request.fields))
    assert not isinstance(request, Tensors)
    return request.input
