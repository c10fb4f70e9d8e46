"""A node that begins over the real overlay with a state of others: sockets, TLS, databases."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from tests.ledger.chain_maker import START_S
from tests.ledger.state_world import GENESIS, change, folder, gathered, live
from tests.ledger.test_chain import FixedClock, opened
from tests.ledger.test_state_taking import richer
from tests.network.mesh_world import RecordingLog
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.compute import ThreadCompute
from tetrarch.ledger import state_arriving
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_arriving import StateArriving
from tetrarch.ledger.state_chunks import hash_of
from tetrarch.ledger.state_parts import CONTENTS, decode_contents, encode_contents
from tetrarch.ledger.store import SCHEMA, LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import FRAGMENTS, STATES, NodeId, Topic
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.storage.database import Database

SLOTS = 34


class Late:
    """A node without a chain, and what it begins with."""

    def __init__(self, stack: AsyncExitStack, path: Path) -> None:
        self.log = RecordingLog()
        database = Database.open(path, (SCHEMA,))
        stack.push_async_callback(database.close)
        self.store = LedgerStore(database)
        self.compute = ThreadCompute()
        stack.callback(self.compute.close)
        log = cast("Any", self.log)
        self.arriving = StateArriving(self.store, self.compute, GENESIS, log, random=Random(1))

    async def open(self) -> LedgerChain:
        ports = LedgerPorts(
            store=self.store,
            compute=self.compute,
            clock=FixedClock(START_S + SLOTS),
            log=cast("Any", self.log),
        )
        return await LedgerChain.open(ports, GENESIS)


def test_who_begins_with_a_state_takes_only_the_blocks_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            ledger = await stack.enter_async_context(opened(folder(tmp_path / "one"), GENESIS))
            await live(ledger, 1, SLOTS, changes={13: change()})
            late = Late(stack, tmp_path / "late.sqlite")
            first, second = nodes_of(tmp_path, 2)
            one = Node(tmp_path / "a", first.overlay.settings, cast("Any", ledger.chain))
            two = Node(
                tmp_path / "b",
                second.overlay.settings,
                cast("Any", late.arriving.chain),
                on_part=late.arriving.take,
            )
            await stack.enter_async_context(one.running())
            async with two.running():
                await until(lambda: two.node in one.links)
                await asyncio.wait_for(late.arriving.run(two.overlay), 20)
            chain = await late.open()
            assert chain.tip().height == chain.main.lowest == 29
            again = Node(tmp_path / "b", second.overlay.settings, cast("Any", chain))
            async with again.running():
                await until(lambda: chain.tip() == ledger.chain.tip())
            assert chain.tip().height == SLOTS
            assert not one.nodes.quarantined

    asyncio.run(main())


class Givers:
    """Some nodes, each with the parts that it gives; asked, it answers in the next moment."""

    def __init__(self, late: Late, *given: dict[bytes, bytes]) -> None:
        self._late = late
        self._given = {NodeId(bytes([place]) * 32): parts for place, parts in enumerate(given)}
        self.asked: list[tuple[NodeId, bytes]] = []

    @property
    def links(self) -> Sequence[NodeId]:
        return list(self._given)

    def ask(self, node: NodeId, topic: Topic, item: ItemId) -> bool:
        assert topic == STATES
        self.asked.append((node, item))
        part = self._given[node].get(item)
        if part is not None:
            asyncio.get_running_loop().call_soon(self._late.arriving.take, node, part)
        return True


async def parts_of(path: Path) -> dict[bytes, bytes]:
    async with opened(folder(path), GENESIS) as ledger:
        await live(ledger, 1, 24)
        return await gathered(ledger)


def test_who_lies_or_falls_silent_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ROUND_S", 0.01), ("GATHER_S", 0.05), ("AGAIN_S", 0.05), ("STUCK_S", 0.4)):
        monkeypatch.setattr(state_arriving, name, value)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            parts = await parts_of(tmp_path / "one")
            liar = {**richer(parts)}
            silent = {key: parts[key] for key in list(parts)[:1]}
            late = Late(stack, tmp_path / "late.sqlite")
            givers = Givers(late, liar, silent, parts, {})
            await asyncio.wait_for(late.arriving.run(givers), 20)
            chain = await late.open()
            assert chain.tip().height == 19
            assert len({node for node, _ in givers.asked}) == 4

    asyncio.run(main())


class SlowGivers(Givers):
    """The first answers as slowly as it may, with whatever it told of; and tells of more all the time."""

    def ask(self, node: NodeId, topic: Topic, item: ItemId) -> bool:
        if node != self.links[0]:
            return super().ask(node, topic, item)
        part, loop = self._given[node].get(item), asyncio.get_running_loop()
        if part is not None:
            loop.call_later(0.0 if item == CONTENTS else 0.1, self._late.arriving.take, node, part)
        loop.call_later(0.05, self._late.arriving.take, node, self._given[node][CONTENTS])
        return True


def test_who_gives_without_end_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"ROUND_S": 0.01, "GATHER_S": 0.05, "AGAIN_S": 0.05, "STUCK_S": 5.0, "PROOFS_S": 0.5}
    for name, value in limits.items():
        monkeypatch.setattr(state_arriving, name, value)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            parts = await parts_of(tmp_path / "one")
            junk = {hash_of(b"%d" % number): b"%d" % number for number in range(1000)}
            contents = decode_contents(parts[CONTENTS])
            told = replace(contents, height=10**9, proofs=tuple(junk))
            late = Late(stack, tmp_path / "late.sqlite")
            givers = SlowGivers(late, {**junk, CONTENTS: encode_contents(told)}, parts)
            await asyncio.wait_for(late.arriving.run(givers), 20)
            assert (await late.open()).tip().height == 19
            (line,) = late.log.find("state_put_aside")
            assert "too slowly" in str(line)

    asyncio.run(main())


def test_an_overlay_asks_a_node_without_a_state_for_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            arriving = Late(stack, tmp_path / "late.sqlite").arriving
            chain, somebody = arriving.chain, NodeId(bytes(32))
            assert chain.tip().height == 0
            assert chain.has(FRAGMENTS, ItemId(bytes(32))), "so that it is asked for by nobody"
            assert await chain.take(FRAGMENTS, b"x") is Verdict.STALE
            assert arriving.take(somebody, b"x") is Verdict.STALE
            assert arriving.take(somebody, b"\1x") is Verdict.INVALID

    asyncio.run(main())


def test_where_nobody_gives_a_state_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ROUND_S", 0.01), ("WARN_S", 0.05)):
        monkeypatch.setattr(state_arriving, name, value)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            late = Late(stack, tmp_path / "late.sqlite")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(late.arriving.run(Givers(late, {}, {})), 0.5)
            line = str(late.log.find("no_state_given")[0])
            assert "linked_nodes=2" in line or "'linked_nodes': 2" in line
            assert await late.store.load() is None

    asyncio.run(main())
