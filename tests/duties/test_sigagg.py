"""Group signatures: right ones come out, false partials are named, whoever sent them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.duties.duty_world import CHAIN, InlineCompute, Validators, log, spoilt

from tetrarch.crypto.bls import verify
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.parsigdb import LatePartials
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.sigagg import SigAgg
from tetrarch.duties.types import (
    MatchedPartials,
    MatchedSet,
    PartialSet,
    SignedDataSet,
)
from tetrarch.entropy import system_entropy

VALIDATORS = Validators(3)


class World:
    def __init__(self) -> None:
        self.sigagg = SigAgg(
            crypto=BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy),
            chain=CHAIN,
            compute=InlineCompute(),
            log=log(),
        )
        self.aggregated: list[SignedDataSet] = []
        self.rejected: list[PartialSet] = []
        self.verified: list[PartialSet] = []
        for name in ("aggregated", "rejected", "verified"):
            getattr(self.sigagg, name).subscribe(self._recorder(getattr(self, name)))

    @staticmethod
    def _recorder(into: list[Any]) -> Any:
        async def record(value: Any) -> None:
            into.append(value)

        return record


def matched(sets: Sequence[PartialSet]) -> MatchedSet:
    matches = []
    for number, pubkey in enumerate(VALIDATORS.pubkeys):
        partials = [partial_set.partials[number] for partial_set in sets]
        matches.append(
            MatchedPartials(
                pubkey=pubkey,
                payload=partials[0].payload,
                signatures=tuple((p.share_index, p.signature) for p in partials),
            )
        )
    return MatchedSet(duty=sets[0].duty, matches=tuple(matches))


def test_group_signatures_verify_under_the_root_keys() -> None:
    async def main() -> None:
        world = World()
        sets = [VALIDATORS.partials(share) for share in (1, 2, 4)]
        for partial_set in sets:
            await world.sigagg.arrived(partial_set)
        await world.sigagg.aggregate(matched(sets))
        (signed_set,) = world.aggregated
        assert [item.pubkey for item in signed_set.items] == list(VALIDATORS.pubkeys)
        for item in signed_set.items:
            assert verify(item.pubkey, signing_root(item.payload, CHAIN), item.signature)
        assert world.rejected == []

    asyncio.run(main())


def test_false_partials_are_combined_around_and_named() -> None:
    async def main() -> None:
        world = World()
        sets = [VALIDATORS.partials(share) for share in (1, 2, 3, 4)]
        sets[3] = spoilt(sets[3], sets[0])
        await world.sigagg.aggregate(matched(sets))
        assert len(world.aggregated[0].items) == 3
        (false,) = world.rejected
        assert {partial.share_index for partial in false.partials} == {4}
        assert len(false.partials) == 3

    asyncio.run(main())


def test_one_validators_false_partial_does_not_hold_up_the_others() -> None:
    async def main() -> None:
        world = World()
        sets = [VALIDATORS.partials(share) for share in (1, 2, 3)]
        broken = replace(sets[0].partials[0], signature=bytes(96))
        sets[0] = replace(sets[0], partials=(broken, *sets[0].partials[1:]))
        await world.sigagg.aggregate(matched(sets))
        assert len(world.aggregated[0].items) == 2
        assert [(p.pubkey, p.share_index) for p in world.rejected[0].partials] == [
            (VALIDATORS.pubkeys[0], 1)
        ]

    asyncio.run(main())


def test_late_partials_are_verified_one_by_one() -> None:
    async def main() -> None:
        world = World()
        right = VALIDATORS.partials(4)
        false = spoilt(right, VALIDATORS.partials(1)).partials[1]
        late = (right.partials[0], false, right.partials[2])
        await world.sigagg.verify_late(LatePartials(right.duty, late))
        assert world.verified[0].partials == (right.partials[0], right.partials[2])
        assert world.rejected[0].partials == (false,)

    asyncio.run(main())
