"""The node's EIP-3076 history: asked before a vote, and again where a decision becomes durable."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, Validators, block, database, proposal_set

from tetrarch.duties.slashing import GroupHistory, SlashableData
from tetrarch.duties.types import AttestationPayload, UnsignedAttestation, UnsignedDataSet
from tetrarch.ethereum.spec.values import Checkpoint
from tetrarch.storage.inline import InlineDatabase

VALIDATORS = Validators(2)
PUBKEY = VALIDATORS.pubkeys[0]


def voting(source: int, target: int, *, head: bytes = b"h" * 32) -> UnsignedDataSet:
    value = VALIDATORS.unsigned(8 * target, head=head)
    items = tuple(
        replace(
            item,
            data=replace(
                item.data,
                source=Checkpoint(epoch=source, root=b"s" * 32),
                target=Checkpoint(epoch=target, root=b"t" * 32),
            ),
        )
        for item in value.items
        if isinstance(item, UnsignedAttestation)
    )
    return replace(value, items=items)


class World:
    def __init__(self) -> None:
        self.storage: InlineDatabase = database()
        self.history = GroupHistory(storage=self.storage, chain=CHAIN)

    async def record(self, data_set: UnsignedDataSet) -> None:
        await self.storage.write(lambda connection: self.history.guard(connection, data_set))


BLOCK = proposal_set(PUBKEY, block(9))


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (voting(1, 3), voting(1, 3), None),
        (voting(1, 3), voting(3, 4), None),
        (voting(1, 3), voting(1, 3, head=b"x" * 32), "double_vote"),
        (voting(2, 3), voting(1, 4), "surrounding_vote"),
        (voting(1, 6), voting(2, 5), "surrounded_vote"),
        (BLOCK, BLOCK, None),
        (BLOCK, proposal_set(PUBKEY, block(9, randao=b"\xcc" * 96)), "double_block"),
        (BLOCK, proposal_set(PUBKEY, block(10)), None),
    ],
)
def test_what_the_history_holds_decides_on_what_comes(
    before: Any, after: Any, reason: str | None
) -> None:
    async def main() -> None:
        world = World()
        await world.record(voting(0, 1))  # below it nothing may be signed at all
        assert await world.history.refusal(before) is None
        await world.record(before)
        assert await world.history.refusal(after) == reason
        if reason is None:
            await world.record(after)
        else:
            with pytest.raises(SlashableData):
                await world.record(after)

    asyncio.run(main())


def test_asking_records_nothing() -> None:
    async def main() -> None:
        world = World()
        assert await world.history.refusal(voting(1, 3)) is None
        assert await world.history.refusal(voting(1, 3, head=b"x" * 32)) is None

    asyncio.run(main())


def test_one_refused_validator_leaves_no_trace_of_the_others() -> None:
    async def main() -> None:
        world = World()
        first = voting(1, 3)
        await world.record(replace(first, items=first.items[:1]))
        conflicting = voting(1, 3, head=b"x" * 32)
        with pytest.raises(SlashableData):
            await world.record(conflicting)
        second = replace(first, items=first.items[1:])
        assert await world.history.refusal(second) is None, "it may still vote as decided"

    asyncio.run(main())


def test_history_survives_a_crash() -> None:
    async def main() -> None:
        world = World()
        await world.record(voting(1, 3))
        world.storage.crash()
        history = GroupHistory(storage=world.storage.reopen(), chain=CHAIN)
        assert await history.refusal(voting(1, 3, head=b"x" * 32)) == "double_vote"

    asyncio.run(main())


def test_what_retention_prunes_is_still_refused() -> None:
    async def main() -> None:
        world = World()
        for epoch in range(1, 300, 10):
            await world.record(voting(epoch - 1, epoch))
        await world.record(BLOCK)
        assert await world.history.prune() > 0
        assert await world.history.prune() == 0
        for old in (voting(0, 1), voting(0, 11), voting(3, 25), voting(10, 11, head=b"x" * 32)):
            assert await world.history.refusal(old) is not None
        assert await world.history.refusal(proposal_set(PUBKEY, block(8))) is not None
        assert await world.history.refusal(voting(291, 300)) is None

    asyncio.run(main())


def test_what_its_share_signed_elsewhere_is_learned() -> None:
    async def main() -> None:
        world = World()
        await world.record(voting(0, 1))
        (payload,) = {
            AttestationPayload(data=item.data)
            for item in voting(3, 7).items
            if isinstance(item, UnsignedAttestation)
        }
        signed = tuple((pubkey, payload) for pubkey in VALIDATORS.pubkeys)
        assert await world.history.forgotten(signed) == (0, 1)
        await world.history.learn(signed)
        assert await world.history.forgotten(signed) == ()
        for refused in (voting(3, 7, head=b"x" * 32), voting(1, 6), voting(2, 9)):
            assert await world.history.refusal(refused) is not None
        assert await world.history.refusal(voting(3, 8)) is None

    asyncio.run(main())
