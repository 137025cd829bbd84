"""The OpenAPI document says what the code does."""

from __future__ import annotations

import inspect
from importlib.resources import files
from typing import Any

import msgspec
import pytest

from lockgate.app.api import problems
from lockgate.app.api.server import ROUTES, Route
from lockgate.core import errors
from lockgate.core.errors import BackendError, CallError, LockgateError, StoreError
from lockgate.core.exchange import Outcome

DOCUMENT: dict[str, Any] = msgspec.json.decode(
    files("lockgate.app.api").joinpath("openapi.json").read_bytes()
)
MEDIA: dict[object, str] = {
    problems.openai: "openai",
    problems.plain: "plain",
    problems.inference: "v2",
}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """List what is described, by method and path."""
    return {
        (method.upper(), path): operation
        for path, described in DOCUMENT["paths"].items()
        for method, operation in described.items()
    }


def test_every_route_is_described_and_nothing_else() -> None:
    """Neither a forgotten route nor one that is not there any more."""
    assert {(route.method, route.path) for route in ROUTES} == set(operations())


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_tells_its_errors_in_its_own_dialect(route: Route) -> None:
    """The documented error bodies are those that the route's dialect writes."""
    responses = operations()[route.method, route.path]["responses"]
    references = [one["$ref"].rsplit("/", 1)[1] for one in responses.values() if "$ref" in one]
    assert references
    assert {name.split("-")[0] for name in references} == {MEDIA[route.dialect]}
    assert all(name in DOCUMENT["components"]["responses"] for name in references)


def test_every_error_a_caller_can_meet_is_told_under_its_status() -> None:
    """Each code stands in the description of the status it comes with."""
    told = {
        name.split("-")[1]: response["description"]
        for name, response in DOCUMENT["components"]["responses"].items()
    }
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, CallError | BackendError | StoreError) and error is not CallError:
            assert f"`{error.code}`" in told[str(error.status)], error
    assert f"`{LockgateError.code}`" in told["500"]


def test_every_name_that_is_referred_to_exists() -> None:
    """No reference leads nowhere."""

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            here = [value["$ref"]] if "$ref" in value else []
            return here + [one for part in value.values() for one in references(part)]
        if isinstance(value, list):
            return [one for part in value for one in references(part)]
        return []

    for reference in references(DOCUMENT):
        found: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_the_outcomes_are_all_there() -> None:
    """A caller can rely on the list of outcomes."""
    assert DOCUMENT["components"]["schemas"]["Outcome"]["enum"] == [one.value for one in Outcome]
