"""The one way components talk: typed, ordered, awaited subscriptions."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

from tetrarch.errors import invariant

T = TypeVar("T")
Handler: TypeAlias = Callable[[T], Awaitable[None]]


class Output(Generic[T]):
    """An output of a component. ``emit`` awaits each handler in subscription order.

    Awaiting gives back-pressure and one order on every run. A handler's exception reaches
    the emitter: who wants isolation or retries wraps the handler at the wiring.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: list[Handler[T]] = []
        self._emitted = False

    def subscribe(self, handler: Handler[T]) -> None:
        """Add ``handler``. All edges are wired before the first emit."""
        invariant(not self._emitted, f"{self.name}: all edges are wired before the first emit")
        self._handlers.append(handler)

    async def emit(self, value: T) -> None:
        """Await every handler with ``value``, in the order of subscription."""
        self._emitted = True
        for handler in self._handlers:
            await handler(value)
