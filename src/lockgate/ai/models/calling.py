"""Calls functions nobody can vouch for: whatever they raise comes back as one fact."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any, Final

import msgspec

from lockgate.ai.models.arguments import Arguments
from lockgate.ai.models.threads import Threads
from lockgate.core.errors import BackendBroken
from lockgate.core.raised import tell

_END: Final = object()


class Callee:
    """Calls *function* in a thread, or on the event loop if it is async.

    Args:
        quote: Show on stderr what the function's exceptions say, not only where they were raised.
    """

    def __init__(
        self, function: Callable[..., Any], threads: Threads, *, quote: bool = False
    ) -> None:
        self._function = function
        self._on_loop = _is_async(function)
        self._threads = threads
        self._quote = quote

    async def call(self, arguments: Arguments) -> object:
        """Call the function; a generator comes back before its first step.

        Raises:
            BackendBroken: It raised.
        """
        try:
            if self._on_loop:
                result = self._function(*arguments.positional, **arguments.keywords)
            else:
                result = await self._in_thread(_spread, self._function, arguments)
            return await result if inspect.isawaitable(result) else result
        except (Exception, SystemExit) as error:
            raise self._fact(error) from error

    async def pieces(self, result: object) -> AsyncGenerator[object, None]:
        """Give what a generator yields, one by one, or the only piece that *result* is.

        Raises:
            BackendBroken: The generator raised.
        """
        if isinstance(result, AsyncIterator):
            source = result
        elif isinstance(result, Iterator):
            source = self._stepwise(result)
        else:
            yield result
            return
        try:
            async for piece in source:
                yield piece
        except (Exception, SystemExit) as error:
            raise self._fact(error) from error
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    async def _stepwise(self, iterator: Iterator[object]) -> AsyncGenerator[object, None]:
        """Take every step of *iterator* in a thread, not always the same one."""
        try:
            while (piece := await self._in_thread(next, iterator, _END)) is not _END:
                yield piece
        finally:
            if isinstance(close := getattr(iterator, "close", None), Callable):
                await self._in_thread(close)

    async def _in_thread(self, function: Callable[..., Any], *args: object) -> Any:
        outcome = await self._threads.run(_contained, function, *args)
        if isinstance(outcome, _Raised):
            raise self._fact(outcome.error)  # as it is, a coroutine could not raise `StopIteration`
        return outcome

    def _fact(self, error: BaseException) -> BackendBroken:
        """Keep all but the type here, on stderr."""
        if isinstance(error, BackendBroken):
            return error
        tell(error, quote=self._quote)
        return BackendBroken(f"the function raised {type(error).__name__}")


class _Raised(msgspec.Struct, frozen=True):
    """An exception on its way from a thread: a future cannot carry all of them."""

    error: BaseException


def _contained(function: Callable[..., object], *args: object) -> object:
    try:
        return function(*args)
    except BaseException as error:  # noqa: BLE001 — raised again on the loop's side
        return _Raised(error)


def _spread(function: Callable[..., object], arguments: Arguments) -> object:
    return function(*arguments.positional, **arguments.keywords)


def _is_async(function: Callable[..., Any]) -> bool:
    """Say whether calling *function* does not block; also for objects with an async `__call__`."""
    called = getattr(function, "__call__", function)  # noqa: B004 — its kind is asked, not its presence
    return any(
        kind(each)
        for kind in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
        for each in (function, called)
    )
