"""The front door's application: raw ASGI, one table of routes, one place where errors end.

A framework's layers cost a fifth of what a call may cost here, so there is none: an exact look-up
finds most routes, a few templates the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from lockgate.app.api import health, inference, openai, predict, problems
from lockgate.app.api.arrival import App, Arrival, Receive, Response, Scope, Send
from lockgate.app.api.body import CallerLeft
from lockgate.app.api.offer import Front
from lockgate.app.api.problems import Dialect, NoSuchMethod
from lockgate.app.api.watch import BODY_S, Watches
from lockgate.core.errors import CallTooSlow, LockgateError, UnknownPath
from lockgate.core.exchange import Outcome

_NAMES: Final = frozenset({"{name}", "{version}"})
Handler = Callable[[Front, Arrival], Awaitable[None]]


class Route(NamedTuple):
    """Which handler answers at a path, and in which protocol's words it says no."""

    method: str
    path: str
    handler: Handler
    dialect: Dialect


ROUTES: Final = (
    Route("POST", "/v1/chat/completions", openai.chat, problems.openai),
    Route("GET", "/v1/models", openai.models, problems.openai),
    Route("GET", "/v1/models/{name}", openai.model, problems.openai),
    Route("POST", "/v1/services/{name}/predict", predict.predict, problems.plain),
    Route("GET", "/v2", inference.server, problems.inference),
    Route("GET", "/v2/health/live", inference.live, problems.inference),
    Route("GET", "/v2/health/ready", inference.ready, problems.inference),
    Route("GET", "/v2/models/{name}", inference.model, problems.inference),
    Route("GET", "/v2/models/{name}/ready", inference.model_ready, problems.inference),
    Route("POST", "/v2/models/{name}/infer", inference.infer, problems.inference),
    *(
        Route(method, f"/v2/models/{{name}}/versions/{{version}}{end}", handler, problems.inference)
        for method, end, handler in (
            ("GET", "", inference.model),
            ("GET", "/ready", inference.model_ready),
            ("POST", "/infer", inference.infer),
        )
    ),
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


def build_app(front: Front, *, body_s: float = BODY_S) -> App:
    """Make the ASGI application of *front*; bodies must arrive within *body_s* seconds."""
    router = Router(ROUTES)
    watches = Watches(body_s)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            arrival = Arrival(scope, receive, send, watches)
            await _serve(front, router, arrival)
        elif scope["type"] == "lifespan":
            await _live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    return app


async def _serve(front: Front, router: Router, arrival: Arrival) -> None:
    arrival.id = front.ids.new()
    arrival.received = front.clock.monotonic()
    arrival.received_at = front.clock.now_ns()
    dialect = problems.openai
    try:
        route = router.find(arrival)
        dialect = route.dialect
        await route.handler(front, arrival)
    except NoSuchMethod as error:
        await _refuse_method(front, arrival, error, dialect)
    except LockgateError as error:
        await _turn_away(front, arrival, error, dialect)
    except CallerLeft:
        front.turned_away("caller_left")
    except asyncio.CancelledError:
        if not (arrival.watch and arrival.watch.caught()):
            raise
        if arrival.watch.late:
            await _turn_away(front, arrival, _late(), dialect)
    except Exception as bug:  # noqa: BLE001 — the last resort: whatever it is, the caller gets an answer
        await _turn_away(front, arrival, problems.wrapped(bug), dialect)
    finally:
        if arrival.watch is not None:
            arrival.watch.stop()


async def _turn_away(
    front: Front, arrival: Arrival, error: LockgateError, dialect: Dialect
) -> None:
    """Say why a request did not become a call, or why its call could not be recorded."""
    if arrival.watch is not None:
        arrival.watch.stop()
    problems.log_bug(error, arrival.id)
    if arrival.began:
        return
    front.turned_away(error.code)
    outcome = Outcome.FAILED if error.status >= 500 else Outcome.REJECTED
    problem = problems.problem_of(error, arrival.id, outcome)
    await arrival.respond(dialect(problem), closing=isinstance(error, CallTooSlow))


async def _refuse_method(
    front: Front, arrival: Arrival, error: NoSuchMethod, dialect: Dialect
) -> None:
    if arrival.method == "OPTIONS":
        allow = (b"allow", ", ".join(error.allowed).encode())
        await arrival.respond(Response(204, b"", headers=(allow,)))
    else:
        await _turn_away(front, arrival, error, dialect)


def _late() -> CallTooSlow:
    return CallTooSlow("the request's body did not arrive in time; send it faster, or smaller")


async def _live(receive: Receive, send: Send) -> None:
    """Acknowledge start and end; there is nothing to do at either."""
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
