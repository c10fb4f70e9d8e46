"""A served chain on a clock that stands still, and a client whose answers are all judged."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from tests.openapi import BeaconApi

from tetrarch.ethereum.devchain.config import DevChainConfig
from tetrarch.ethereum.devchain.server import DevChainServer

GENESIS_S = 1_700_000_000
SLOT_S = 6


class StillClock:
    """Stands in the middle of a slot until it is moved."""

    def __init__(self, slot: int = 0) -> None:
        self.now_s = 0.0
        self.move(slot)

    def move(self, slot: float, into_s: float = 3.0) -> None:
        self.now_s = GENESIS_S + slot * SLOT_S + into_s

    def wall_s(self) -> float:
        return self.now_s


class JudgedClient:
    """Sends requests; every answer under /eth must be as the API describes it."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._judge = BeaconApi()
        self.asked: set[tuple[str, str]] = set()

    async def ask(
        self, method: str, path: str, *, expect: int = 200, headers: Any = None, **kwargs: Any
    ) -> Any:
        """The decoded body: JSON, or bytes of SSZ."""
        async with self._session.request(
            method, self._url + path, headers=headers, **kwargs
        ) as answer:
            body = await answer.read()
            assert answer.status == expect, (method, path, answer.status, body[:300])
            self.asked.add((method, path))
            bare = path.partition("?")[0]
            if self._judge.knows(method, bare):
                self._judge.check_response(
                    method, bare, status=answer.status, headers=answer.headers, body=body
                )
            if answer.content_type == "application/json":
                return await answer.json()
            return body

    async def get(self, path: str, **kwargs: Any) -> Any:
        return await self.ask("GET", path, **kwargs)

    async def post(self, path: str, json: Any = None, **kwargs: Any) -> Any:
        return await self.ask("POST", path, json=json, **kwargs)


@asynccontextmanager
async def served(
    clock: StillClock, **options: Any
) -> AsyncIterator[tuple[DevChainServer, JudgedClient]]:
    config = DevChainConfig(genesis_time_s=GENESIS_S, **options)
    async with (
        DevChainServer(config, clock) as server,
        aiohttp.ClientSession() as session,
    ):
        yield server, JudgedClient(session, server.url)
