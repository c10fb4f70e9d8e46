"""Builder registrations: the newest true one counts, builders hear of it, and blocks pay it."""

import asyncio
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, GENESIS_S, database
from tests.duties.lasting_world import (
    BAD,
    FIRST,
    SECOND,
    THIRD,
    VALIDATORS,
    LastingWorld,
    registration,
    registration_set,
)

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.registrations import FORMER_PAYEE_EPOCHS, Registrations
from tetrarch.duties.types import PubKey
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import ValidatorStatus
from tetrarch.sim.loop import SimClock, simulate

OLD, NEW = b"\1" * 20, b"\2" * 20
EPOCH_S = CHAIN.slots_per_epoch * CHAIN.slot_duration_ms / 1000


class World(LastingWorld):
    def __init__(self, *, builder_api: bool = True, unset: tuple[PubKey, ...] = ()) -> None:
        super().__init__()
        self.registrations = Registrations(
            self.ports,
            base={pubkey: registration(pubkey) for pubkey in VALIDATORS.pubkeys},
            fee_recipients={
                pubkey: bytes(20) if pubkey in unset else OLD for pubkey in VALIDATORS.pubkeys
            },
            pubkeys=VALIDATORS.pubkeys,
            builder_api=builder_api,
        )

    async def read(self) -> None:
        await self.registrations.load(AggSigDB(storage=database()))

    def payee(self, pubkey: PubKey = FIRST) -> bytes | None:
        return self.registrations.payees.get(pubkey)


def test_group_signed_registration_changes_the_payee_and_the_former_counts_for_a_while() -> None:
    async def main() -> None:
        world = World()
        assert (world.payee(), world.registrations.former_payee(FIRST)) == (OLD, None)
        await world.registrations.adopt(registration_set(registration(at_s=30, pays=2)))
        assert (world.payee(), world.payee(SECOND)) == (NEW, OLD)
        assert world.registrations.fee_recipients[FIRST] == NEW
        assert world.registrations.former_payee(FIRST) == OLD
        world.clock.now_s += FORMER_PAYEE_EPOCHS * EPOCH_S + 1
        assert world.registrations.former_payee(FIRST) is None

    asyncio.run(main())


@pytest.mark.parametrize("at_s", [20, 19])
def test_older_or_equally_old_one_changes_nothing(at_s: int) -> None:
    async def main() -> None:
        world = World()
        await world.registrations.adopt(registration_set(registration(at_s=at_s, pays=2)))
        assert world.payee() == OLD

    asyncio.run(main())


def test_newest_override_wins_and_wrong_ones_are_told_once() -> None:
    async def main() -> None:
        world = World()
        world.operator.given = [
            registration(at_s=40, pays=2),
            registration(at_s=30, pays=3),
            registration(SECOND, at_s=40, pays=2, signature=BAD),
            registration(THIRD, at_s=40, pays=0),
            registration(PubKey(b"\7" * 48), at_s=40),
        ]
        for _ in range(2):
            await world.read()
        assert [world.payee(key) for key in VALIDATORS.pubkeys] == [NEW, OLD, OLD]
        reasons = [line["reason"] for line in world.log.find("override_refused")]
        assert reasons == [
            "the signature is not the validator's",
            "the fee recipient is zero",
            "none of the cluster's validators",
        ]

    asyncio.run(main())


def test_unset_payee_is_no_payee_until_a_registration_says_one() -> None:
    async def main() -> None:
        world = World(unset=(FIRST,))
        assert world.payee() is None
        assert FIRST not in world.registrations.payees
        assert world.registrations.fee_recipients[FIRST] == bytes(20)
        assert len(world.registrations.payees) == 2
        await world.registrations.adopt(registration_set(registration(at_s=30, pays=2)))
        assert (world.payee(), world.registrations.former_payee(FIRST)) == (NEW, None)

    asyncio.run(main())


def test_restarted_node_knows_what_the_group_signed() -> None:
    async def main() -> None:
        stored = AggSigDB(storage=database())
        await stored.store(registration_set(registration(at_s=30, pays=2)))
        world = World()
        await world.registrations.load(stored)
        assert world.payee() == NEW

    asyncio.run(main())


def timed(world_of: Any, *, for_s: float) -> list[tuple[float, int]]:
    """When registrations were sent, in slots after genesis, and how many."""
    sent: list[tuple[float, int]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        world = world_of()
        offset_s = GENESIS_S - SimClock(loop).wall_s() + 2
        world.clock = SimClock(loop, offset_s=offset_s)
        world.registrations._clock = world.clock
        called = world.node.register_validators

        async def note(registrations: tuple[Any, ...]) -> None:
            await called(registrations)
            at = (world.clock.wall_s() - GENESIS_S) * 1000 / CHAIN.slot_duration_ms
            sent.append((round(at, 2), len(registrations)))

        world.node.register_validators = note
        task = asyncio.get_running_loop().create_task(world.registrations.run())
        await asyncio.sleep(for_s)
        task.cancel()

    simulate(main, seed=1)
    return sent


def test_builders_hear_at_the_start_and_late_in_the_first_slot_of_each_epoch() -> None:
    sent = timed(World, for_s=2.5 * EPOCH_S)
    slots = CHAIN.slots_per_epoch
    start = 2000 / CHAIN.slot_duration_ms
    assert sent[0][0] == pytest.approx(start, abs=0.02)
    assert {count for _, count in sent} == {3}
    later = [at for at, _ in sent[1:]]
    assert later == [pytest.approx(n * slots + 0.75, abs=0.02) for n in range(3)][-len(later) :]
    assert len(later) in (2, 3)


def test_nobody_is_told_without_the_builder_api() -> None:
    assert timed(lambda: World(builder_api=False), for_s=2 * EPOCH_S) == []


def test_only_validators_that_serve_or_will_are_registered() -> None:
    def world() -> World:
        made = World()
        made.node.statuses[FIRST] = ValidatorStatus.PENDING_QUEUED
        made.node.statuses[SECOND] = ValidatorStatus.EXITED_UNSLASHED
        return made

    assert timed(world, for_s=1)[0][1] == 2


def test_beacon_node_that_is_away_is_asked_again() -> None:
    def world() -> World:
        made = World()
        made.node.failing["register_validators"] = BeaconNodeUnreachable("register")

        def heal(*counted: Any) -> None:
            made.counts.append(counted)
            made.node.failing.clear()

        made.registrations._count = heal
        return made

    assert len(timed(world, for_s=2)) == 1
