"""When most trusted nodes are elsewhere for a while, the operator is told, once."""

import asyncio
from dataclasses import replace
from typing import Any, cast

from tests.network.overlay.support import NOW_S, known_of, node_id, profile

from tetrarch.network.conduct import Tip
from tetrarch.network.overlay.forks import ForkWatch, Standing
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.layers.trusted import Trusted
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.nodes import Nodes
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.trusted_tips import FRESH_S, TrustedTips
from tetrarch.observability.logs import Log

NODES = [node_id(number) for number in range(1, 4)]


class Told:
    """Which lines were written, each time; a log leaves out what is repeated."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))

    info = warning


class World:
    """Three trusted nodes, a stranger, and our chain of 20 blocks with a fork of 2 at its root."""

    def __init__(self) -> None:
        self.told = Told()
        self.chain = MemoryChain()
        self.nodes = Nodes(node_id(0), known_of(), PolicyRules())
        self.trusted = Trusted([Name(node=node) for node in NODES])
        for number in (1, 2, 3, 9):
            made = profile(number)
            self.nodes.hear(made, made.node, now_s=NOW_S)
            self.trusted.took(made)
        self.tips = TrustedTips(
            self.trusted,
            self.nodes,
            self.chain,
            watch=ForkWatch(lasting_s=100),
            log=cast("Log", self.told),
        )
        asyncio.run(self._grow())

    async def _grow(self) -> None:
        first = self.chain.tip()
        for number in range(20):
            await self.chain.take(BLOCKS, make_block(self.chain.tip(), number, b"ours"))
        fork = make_block(first, 99, b"fork")
        await self.chain.take(BLOCKS, fork)
        self.fork = Tip(self.chain.item_id(BLOCKS, fork), 1, NOW_S)
        end = self.chain.tip()
        self.ours = Tip(end.block, end.height, NOW_S)
        self.far = Tip(b"?" * 32, 1000, NOW_S)

    def tell(self, number: int, tip: Tip, at_s: float) -> None:
        conduct = self.nodes.conduct(node_id(number))
        assert conduct is not None
        conduct.tip = replace(tip, told_s=at_s)

    def look(self, at_s: float) -> Standing | None:
        self.tips.look(now_s=NOW_S + at_s)
        return None if self.tips.verdict is None else self.tips.verdict.standing


def test_most_of_them_elsewhere_for_a_while_is_told_once() -> None:
    world = World()
    for at_s in (0, 50, 101, 150):
        world.tell(1, world.far, NOW_S + at_s)
        world.tell(2, world.far, NOW_S + at_s)
        world.tell(3, world.ours, NOW_S + at_s)
        assert world.look(at_s) is (Standing.AHEAD if at_s > 100 else None)
    ((event, fields),) = world.told.lines
    assert event == "overlay_chain_left_alone"
    assert (fields["nodes"], fields["asked"]) == (2, 3)
    world.tell(2, world.ours, NOW_S + 160)
    world.tell(1, world.ours, NOW_S + 160)
    assert world.look(160) is None
    assert [event for event, _ in world.told.lines][1:] == ["overlay_chain_together_again"]


def test_a_fork_that_is_here_is_told_by_its_depth() -> None:
    world = World()
    for at_s, found in ((0, None), (101, Standing.FORKED)):
        for number in (1, 2, 3):
            world.tell(number, world.fork, NOW_S + at_s)
        assert world.look(at_s) is found


def test_old_words_and_strangers_do_not_count() -> None:
    world = World()
    world.tell(9, world.far, NOW_S)
    assert world.look(0) is None
    for number in (1, 2, 3):
        world.tell(number, world.far, NOW_S)
    world.look(0)
    assert world.look(FRESH_S + 1) is None
