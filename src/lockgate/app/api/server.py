"""The front door's application: one table of routes, one place where errors end.

A framework's layers cost a fifth of what a call may cost here, so there is none: an exact look-up
finds most routes, a few templates the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from lockgate.app.api import health, inference, openai, predict, problems
from lockgate.app.api.arrival import App, Arrival, Response, header_line
from lockgate.app.api.body import CallerLeft, check_announced
from lockgate.app.api.offer import Front
from lockgate.app.api.problems import Dialect, NoSuchMethod
from lockgate.core.errors import CallTooSlow, LockgateError, UnknownPath
from lockgate.core.exchange import Outcome

_NAMES: Final = frozenset({"{name}", "{version}"})
_VERSION: Final = "/v2/models/{name}/versions/{version}"
Handler = Callable[[Front, Arrival], Awaitable[None]]
Admits = Callable[[Front, Arrival], int]
"""Says how large a body may be, or raises what its handler would raise, too."""


class Route(NamedTuple):
    """Which handler answers at a path, and in which protocol's words it says no.

    Attributes:
        admits: Bounds the body; None if the handler does not look at it.
    """

    method: str
    path: str
    handler: Handler
    dialect: Dialect
    admits: Admits | None = None


ROUTES: Final = (
    Route("POST", "/v1/chat/completions", openai.chat, problems.openai, openai.chat_admits),
    Route("GET", "/v1/models", openai.models, problems.openai),
    Route("GET", "/v1/models/{name}", openai.model, problems.openai),
    Route(
        "POST",
        "/v1/services/{name}/predict",
        predict.predict,
        problems.plain,
        predict.predict_admits,
    ),
    Route("GET", "/v2", inference.server, problems.inference),
    Route("GET", "/v2/health/live", inference.live, problems.inference),
    Route("GET", "/v2/health/ready", inference.ready, problems.inference),
    Route("GET", "/v2/models/{name}", inference.model, problems.inference),
    Route("GET", "/v2/models/{name}/ready", inference.model_ready, problems.inference),
    Route(
        "POST",
        "/v2/models/{name}/infer",
        inference.infer,
        problems.inference,
        inference.infer_admits,
    ),
    Route("GET", _VERSION, inference.model, problems.inference),
    Route("GET", f"{_VERSION}/ready", inference.model_ready, problems.inference),
    Route("POST", f"{_VERSION}/infer", inference.infer, problems.inference, inference.infer_admits),
    Route("GET", "/livez", health.livez, problems.plain),
    Route("GET", "/readyz", health.readyz, problems.plain),
    Route("GET", "/metrics", health.metrics, problems.plain),
    Route("GET", "/openapi.json", health.openapi, problems.plain),
)


class Template(NamedTuple):
    """A path with names in it, cut at its slashes."""

    parts: tuple[str, ...]
    methods: dict[str, Route]

    def fits(self, parts: list[str]) -> bool:
        """Say whether *parts*, of the same number, are this path with the names filled in."""
        return all(
            mine == given or (given and mine in _NAMES)
            for mine, given in zip(self.parts, parts, strict=True)
        )


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._direct = {(route.method, route.path): route for route in routes}
        self._exact: dict[str, dict[str, Route]] = {}
        self._templates: dict[int, list[Template]] = {}
        for route in routes:
            methods = self._exact.setdefault(route.path, {})
            methods[route.method] = route
        for path in [path for path in self._exact if "{" in path]:
            parts = tuple(path.split("/"))
            template = Template(parts, self._exact.pop(path))
            self._templates.setdefault(len(parts), []).append(template)

    def find(self, arrival: Arrival) -> Route:
        """Find the route, and note the name in the path.

        Raises:
            UnknownPath: Nothing is at this path.
            MethodNotAllowed: Something is, for other methods.
        """
        direct = self._direct.get((arrival.method, arrival.path))
        if direct is not None:
            return direct
        methods = self._exact.get(arrival.path) or self._by_template(arrival)
        if methods is None:
            raise UnknownPath(f"Invalid URL ({arrival.method} {arrival.path[:200]})")
        route = methods.get("GET" if arrival.method == "HEAD" else arrival.method)
        if route is None:
            raise NoSuchMethod(
                f"Not allowed to {arrival.method} on {arrival.path[:200]}.", _allowed(methods)
            )
        return route

    def _by_template(self, arrival: Arrival) -> dict[str, Route] | None:
        parts = arrival.path.split("/")
        for template in self._templates.get(len(parts), ()):
            if template.fits(parts):
                filled = dict(zip(template.parts, parts, strict=True))
                arrival.name = filled["{name}"]
                arrival.version = filled.get("{version}", "")
                return template.methods
        return None


def _allowed(methods: dict[str, Route]) -> tuple[str, ...]:
    also = ("HEAD",) if "GET" in methods else ()
    return (*methods, *also, "OPTIONS")


class Application:
    """Answers every request of a worker."""

    __slots__ = ("_find", "_front", "_new_id")

    def __init__(self, front: Front) -> None:
        self._front = front
        self._find = Router(ROUTES).find
        self._new_id = front.ids.new

    def admits(self, arrival: Arrival) -> int:
        """Say how large a body is worth waiting for; -1 if the head is enough to answer."""
        try:
            admits = self._find(arrival).admits
            limit = -1 if admits is None else admits(self._front, arrival)
            check_announced(arrival, limit)
        except LockgateError:  # raised again, and told, by the handler
            return -1
        return limit

    async def __call__(self, arrival: Arrival) -> None:
        """Answer a request."""
        front = self._front
        arrival.id = self._new_id()
        arrival.received = front.clock.monotonic()
        arrival.received_at = front.clock.now_ns()
        dialect = problems.openai
        try:
            route = self._find(arrival)
            dialect = route.dialect
            await route.handler(front, arrival)
        except NoSuchMethod as error:
            _refuse_method(front, arrival, error, dialect)
        except LockgateError as error:
            _turn_away(front, arrival, error, dialect)
        except CallerLeft:
            front.turned_away("caller_left")
        except asyncio.CancelledError:
            if not arrival.left:
                raise
        except Exception as bug:  # noqa: BLE001 — the last resort: whatever it is, the caller gets an answer
            _turn_away(front, arrival, problems.wrapped(bug), dialect)


def build_app(front: Front) -> App:
    """Make the application of *front*."""
    return Application(front)


def _turn_away(front: Front, arrival: Arrival, error: LockgateError, dialect: Dialect) -> None:
    """Say why a request did not become a call, or why its call could not be recorded."""
    problems.log_bug(error, arrival.id)
    if arrival.began:
        return
    front.turned_away(error.code)
    outcome = Outcome.FAILED if error.status >= 500 else Outcome.REJECTED
    problem = problems.problem_of(error, arrival.id, outcome)
    arrival.respond(dialect(problem), closing=isinstance(error, CallTooSlow))


def _refuse_method(front: Front, arrival: Arrival, error: NoSuchMethod, dialect: Dialect) -> None:
    if arrival.method == "OPTIONS":
        allow = header_line(b"allow", ", ".join(error.allowed).encode())
        arrival.respond(Response(204, b"", headers=allow))
    else:
        _turn_away(front, arrival, error, dialect)
