"""A client of a served development chain, one that never asks for SSZ, and interop signatures."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import aiohttp
from tests.ethereum.devchain.served import StillClock, served

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.http import JSON, Address, Answer, Call, Exchange, Timeouts
from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.keys import interop_key
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.values import Fork

VALIDATORS = 64  # two committees of four in every slot of a minimal chain


class RecordingExchange(Exchange):
    """Keeps what was asked and answered; with ``json_only`` every answer is wanted as JSON."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, json_only: bool) -> None:
        super().__init__(session, Address.parse(url), Timeouts(read_s=30, submit_s=30))
        self._json_only = json_only
        self.paths: list[str] = []
        self.answers: list[Answer] = []

    async def send(self, call: Call) -> Answer:
        if self._json_only:
            call = replace(call, headers={**call.headers, "Accept": JSON})
        self.paths.append(f"{call.method} {call.path}")
        answer = await super().send(call)
        self.answers.append(answer)
        return answer


@dataclass(frozen=True)
class Served:
    """A chain that stands in slot 1, its client, and what the client sent."""

    chain: DevChain
    clock: StillClock
    client: BeaconNodeClient
    exchange: RecordingExchange

    @property
    def fork(self) -> Fork:
        return self.chain.config.fork

    def go_to(self, slot: int) -> None:
        self.clock.move(slot)
        self.chain.advance(self.clock.wall_s())

    def sign(self, validator: int, domain_type: DomainType, root: bytes) -> bytes:
        domain = self.chain.head_state(max(self.chain.slot, 0)).domain(domain_type)
        return interop_key(validator).sign(compute_signing_root(root, domain))


Scenario = Callable[[Served], Awaitable[None]]


def run_on_devchain(
    scenario: Scenario, *, fork: Fork = Fork.ELECTRA, json_only: bool = False
) -> None:
    async def main() -> None:
        clock = StillClock(1)
        async with (
            served(clock, fork=fork, validators=VALIDATORS) as (server, _judged),
            aiohttp.ClientSession() as session,
        ):
            exchange = RecordingExchange(session, server.url, json_only=json_only)
            world = Served(server.chain, clock, BeaconNodeClient(exchange, exchange), exchange)
            world.go_to(1)
            await scenario(world)

    asyncio.run(main())
