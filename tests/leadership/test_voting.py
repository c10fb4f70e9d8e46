"""A member votes for each block once, in order, and tells who knows less."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from tests.leadership.leading_world import World, leading, run
from tests.ledger.makers import bft_key, bft_public

from tetrarch.leadership.voting import APART, PATIENCE_SLOTS, TOLD_AT_ONCE_MAX, Voting
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.checkpoints import encode_certificate, is_certificate
from tetrarch.ledger.finality import (
    Certificate,
    Checkpoint,
    Link,
    Vote,
    VoteForbidden,
    decode_vote,
    encode_vote,
    is_vote,
)
from tetrarch.ledger.tidings import AGAIN_SLOTS
from tetrarch.network.overlay.profile import FRAGMENTS
from tetrarch.sim.ledger_keys import SimKeys


@asynccontextmanager
async def voting(keys_type: Any = SimKeys) -> AsyncIterator[World]:
    async with leading(keys_type) as world:
        task = asyncio.create_task(Voting(world.leadership._ports, world.chain).run())
        yield world
        task.cancel()


def links(world: World) -> list[tuple[int, int]]:
    votes = [decode_vote(each).link for each in world.proposed if is_vote(each)]
    return [(link.source.height, link.target.height) for link in votes]


def test_each_block_is_voted_for_in_order_and_its_parent_is_final() -> None:
    async def main() -> None:
        async with voting() as world:
            await world.until(12.5)
            assert links(world) == [(height - 1, height) for height in range(1, 13)]
            assert world.chain.tree.final.header.chain_length == 11

    run(main)


def test_who_is_no_member_keeps_silent() -> None:
    class Others(SimKeys):
        def __init__(self, *args: Any, **how: Any) -> None:
            super().__init__(*args, **how)
            self.voter = bft_public(9)

    async def main() -> None:
        async with voting(Others) as world:
            await world.until(4.5)
            assert links(world) == []
            assert world.tip.header.chain_length == 4

    run(main)


def test_a_vote_that_the_keys_refuse_is_left_out_and_the_next_is_cast() -> None:
    class Marked(SimKeys):
        async def sign_vote(self, link: Link) -> bytes:
            if link.target.height < 3:
                raise VoteForbidden("vote", target=link.target.height, after=2)
            return await super().sign_vote(link)

    async def main() -> None:
        async with voting(Marked) as world:
            await world.until(8.5)
            assert links(world)[0] == (0, 3)
            assert world.chain.tree.final.header.chain_length == 7

    run(main)


def test_while_nothing_is_justified_all_vote_for_the_same_heights_apart_and_not_ever_further_behind() -> (
    None
):
    """Whose clock is slower is to have voted for the one before: else each votes from another source."""
    votes: list[tuple[float, int]] = []

    class Silent(SimKeys):
        async def sign_vote(self, link: Link) -> bytes:
            votes.append((asyncio.get_running_loop().time(), link.target.height))
            raise VoteForbidden("vote", target=link.target.height, after=99)

    async def main() -> None:
        async with voting(Silent) as world:
            await world.until(20.5)
            times = [time_s for time_s, _ in votes]
            apart_s = [later - earlier for earlier, later in pairwise(times)]
            assert min(apart_s) > APART - 0.2, "slots, of which each has a block"
            heights = [height for _, height in votes]
            assert heights == [1, *range(APART, int(20 - PATIENCE_SLOTS) + 1, APART)]

    run(main)


def test_who_votes_from_an_older_source_is_told_what_he_lacks_once() -> None:
    async def main() -> None:
        async with voting() as world:
            await world.until(5.5)
            block0 = world.tip.block0
            for _ in range(3):
                world.chain.news.on_behind.tell(2)
                await asyncio.sleep(0.01)
            told = [each for each in world.proposed if is_certificate(Fragment(each))]
            assert len(told) == len(set(told)) > 0
            link = Link(Checkpoint(0, block0), Checkpoint(5, world.tip.id))
            stranger = Vote(link, bft_public(3), bft_key(3).sign(link.to_sign(block0)))
            await world.chain.take(FRAGMENTS, encode_vote(stranger))
            await asyncio.sleep(0.01)
            assert len(told) == len(
                [each for each in world.proposed if is_certificate(Fragment(each))]
            ), "nobody is told for a stranger's sake"

    run(main)


def test_who_is_far_behind_is_told_the_oldest_first_and_later_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The source of each is the target of the one before: the newest alone would be of no use to him."""

    async def main() -> None:
        async with voting() as world:
            await world.until(5.5)
            block0 = world.tip.block0
            links = [
                Link(Checkpoint(height - 1, block0), Checkpoint(height, block0))
                for height in range(1, 2 * TOLD_AT_ONCE_MAX)
            ]
            above = tuple(Certificate(link, {}) for link in links)
            monkeypatch.setattr(world.chain.opinion, "above", lambda _height: above)
            told = list(map(encode_certificate, above[:TOLD_AT_ONCE_MAX]))
            for wait_s, expected in ((0, told), (AGAIN_SLOTS - 1, []), (1.1, told), (0, [])):
                await asyncio.sleep(wait_s)
                before = len(world.proposed)
                world.chain.news.on_behind.tell(0)
                await asyncio.sleep(0.01)
                proposed = world.proposed[before:]
                assert [each for each in proposed if is_certificate(Fragment(each))] == expected

    run(main)
