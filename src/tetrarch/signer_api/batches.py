"""Single requests become batches for the enclave: one durable record for all that wait."""

import asyncio
from collections import deque
from typing import Protocol

from tetrarch.enclave.approval import REQUESTS_MAX
from tetrarch.enclave.ports import Failed, SignRequest, SignResult
from tetrarch.errors import Transient

WAITING_MAX = 4 * REQUESTS_MAX
FULL = Failed("too many requests wait")


class BatchSigner(Protocol):
    """The enclave, as far as it signs."""

    async def sign(self, requests: tuple[SignRequest, ...]) -> tuple[SignResult, ...]:
        """As ``enclave.ports.Enclave``."""
        ...


class Batches:
    """While one batch is with the enclave, the next one collects. ``run`` it beside."""

    def __init__(self, enclave: BatchSigner) -> None:
        self._enclave = enclave
        self._waiting: deque[tuple[SignRequest, asyncio.Future[SignResult]]] = deque()
        self._wake = asyncio.Event()

    async def sign(self, request: SignRequest) -> SignResult:
        """The enclave's answer to ``request``; ``Failed`` where there is none."""
        if len(self._waiting) >= WAITING_MAX:
            return FULL
        future: asyncio.Future[SignResult] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        self._wake.set()
        return await future

    async def run(self) -> None:
        """Hand batches on until cancelled.

        Raises:
            EnclaveGone: the process ended.
        """
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                size = min(len(self._waiting), REQUESTS_MAX)
                await self._hand_on([self._waiting.popleft() for _ in range(size)])

    async def _hand_on(self, batch: list[tuple[SignRequest, asyncio.Future[SignResult]]]) -> None:
        # Whoever gave up waiting is signed for all the same: the record is the same.
        results: tuple[SignResult, ...]
        try:
            results = await self._enclave.sign(tuple(request for request, _ in batch))
        except Transient as error:
            results = (Failed(error.code),) * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
