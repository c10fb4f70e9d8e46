"""Ledgers over the real overlay: sockets, TLS, databases; who comes late catches up, and fragments reach all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

from tests.ledger.chain_maker import START_S, bft_block, bft_genesis
from tests.ledger.makers import account_id, signed_fragment
from tests.ledger.test_chain import FixedClock
from tests.network.mesh_world import RecordingLog
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.compute import ThreadCompute
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Block, encode_block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.store import SCHEMA, LedgerStore
from tetrarch.ledger.tables import Base
from tetrarch.storage.database import Database

GENESIS = genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=1000)))
BLOCKS_COUNT = 150  # more than one answer holds
TEN = Transfer((Output(account_id(9), 10),))


def grown(count: int) -> list[Block]:
    place, made = first_place(GENESIS, Base()), []
    for slot in range(1, count + 1):
        paid = pay(place) if slot % 10 == 0 else ()
        made.append(bft_block(place, BlockDate(0, slot), *paid))
        place = apply_block(place, made[-1])
    return made


def pay(place: Place) -> tuple[Any, ...]:
    counter = account_of(place.layer, account_id(0)).counter
    return (signed_fragment(0, TEN, counter=counter, block0=GENESIS.header.id),)


@asynccontextmanager
async def ledgers(folder: Path, count: int) -> AsyncIterator[list[tuple[Node, LedgerChain]]]:
    """Nodes that are not running yet."""
    compute = ThreadCompute()
    async with AsyncExitStack() as stack:
        stack.callback(compute.close)
        made = []
        for place, like in enumerate(nodes_of(folder, count)):
            database = Database.open(folder / f"{place}.sqlite", (SCHEMA,))
            stack.push_async_callback(database.close)
            ports = LedgerPorts(
                store=LedgerStore(database),
                compute=compute,
                clock=FixedClock(START_S + 900.0),
                log=cast("Any", RecordingLog()),
            )
            chain = await LedgerChain.open(ports, GENESIS)
            settings = like.overlay.settings
            made.append((Node(folder / f"node-{place}", settings, cast("Any", chain)), chain))
        yield made


def test_blocks_and_fragments_reach_all_and_who_comes_late_catches_up(tmp_path: Path) -> None:
    blocks = grown(BLOCKS_COUNT)

    async def main() -> None:
        async with ledgers(tmp_path, 3) as made, AsyncExitStack() as stack:
            (one, first), (two, second), (three, third) = made
            for node in (one, two):
                await stack.enter_async_context(node.running())
            await until(lambda: two.node in one.links)
            for block in blocks:
                await one.overlay.propose_block(encode_block(block))
            await until(lambda: second.tip() == first.tip())
            await stack.enter_async_context(three.running())
            await until(lambda: third.tip() == first.tip())
            assert third.tip().height == BLOCKS_COUNT
            assert account_of(third.tree.tip.layer, account_id(9)).value == 10 * 15
            (fragment,) = pay(first.tree.tip)
            await three.overlay.propose_fragment(encode_fragment(fragment))
            await until(lambda: len(first.mempool) == len(second.mempool) == 1)
            last = bft_block(first.tree.tip, BlockDate(0, BLOCKS_COUNT + 1), fragment)
            await two.overlay.propose_block(encode_block(last))
            await until(lambda: first.tip() == third.tip() == second.tip())
            assert first.tip().height == BLOCKS_COUNT + 1
            assert not any(len(chain.mempool) for _, chain in made)

    asyncio.run(main())


def test_who_gives_out_a_block_of_the_future_is_put_aside(tmp_path: Path) -> None:
    """His clock is hours ahead, or he lies: what he made holds nowhere else."""
    block = bft_block(first_place(GENESIS, Base()), BlockDate(0, 999))

    async def main() -> None:
        async with ledgers(tmp_path, 2) as made, AsyncExitStack() as stack:
            (one, first), (two, second) = made
            ahead = cast("FixedClock", second._ports.clock)
            ahead.now_s += 3600
            for node in (one, two):
                await stack.enter_async_context(node.running())
            await until(lambda: two.node in one.links and one.node in two.links)
            await two.overlay.propose_block(encode_block(block))
            assert second.tip().height == 1
            await until(lambda: two.node in one.nodes.quarantined)
            assert first.tip().height == 0

    asyncio.run(main())
