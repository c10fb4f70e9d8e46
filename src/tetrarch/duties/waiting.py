"""Blocking queries: wait for a key's value until it is there or the caller gives up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Waiters(Generic[K, V]):
    """Callers waiting for values by key. Holds nothing for a key nobody waits for."""

    def __init__(self) -> None:
        self._waiting: dict[K, list[asyncio.Future[V]]] = {}

    async def wait(self, key: K, present: Callable[[], Awaitable[V | None]]) -> V:
        """Return what ``present`` finds, or else the value that is announced later.

        The caller is registered before ``present`` looks, so a value that arrives between the
        look and the wait is not missed. Cancelling the caller forgets it.
        """
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        try:
            value = await present()
            return value if value is not None else await future
        finally:
            waiting = self._waiting.get(key, [])
            if future in waiting:
                waiting.remove(future)
            if not waiting:
                self._waiting.pop(key, None)

    def announce(self, key: K, value: V) -> None:
        """Wake everyone who waits for ``key``."""
        for future in self._waiting.pop(key, []):
            if not future.done():
                future.set_result(value)

    @property
    def keys(self) -> tuple[K, ...]:
        """What somebody waits for now."""
        return tuple(self._waiting)
