"""Goal: of three primaries at most one is bad at a time, in any way and for any time; no vote is
lost or wrong, no submission is lost, and once all is well every node is healthy again.

Method: each seed draws who is bad, how, and when, and how long answers take; virtual time.
"""

import asyncio
from random import Random

import pytest
from tests.ethereum.beacon_nodes.scripted_nodes import (
    SLOT,
    SLOT_S,
    SYNCED,
    SYNCING,
    ScriptedNode,
    World,
    attester_duties,
    data,
    honest,
    refusal,
    run,
)

from tetrarch.ethereum.spec.values import AttestationData, Fork

SEEDS = range(60)
SLOTS = 24


def lie(rng: Random, slot: int) -> AttestationData:
    epoch = slot // 8
    return rng.choice(
        [
            data("wrong head", slot=slot, source=(epoch - 1, "source"), target=(epoch, "target")),
            honest(slot + rng.choice([-1, 1, 64])),
            data("fork", slot=slot, source=(epoch - 3, "fork"), target=(epoch, "fork")),
            data("head", slot=slot, source=(epoch - 9, "surrounds"), target=(epoch, "target")),
            data("head", slot=slot, source=(epoch + 1, "after"), target=(epoch, "target")),
        ]
    )


def spoil(node: ScriptedNode, rng: Random) -> None:
    match rng.choice(["lie", "lie", "slow", "hang", "down", "broken", "syncing"]):
        case "lie":
            node.answers["attestation_data"] = lambda slot, _index: lie(rng, slot)
            node.answers["attester_duties"] = lambda epoch, _: attester_duties(epoch=epoch)
            node.delay_s = rng.choice([0.001, 0.2])
        case "slow":
            node.delay_s = rng.uniform(0.3, 5)
        case "hang":
            node.delay_s = 1e5
        case "down":
            node.down = True
        case "broken":
            node.answers.update(
                dict.fromkeys(("attestation_data", "attester_duties"), refusal(500))
            )
            node.answers["submit_attestations"] = refusal(400)
        case _:
            node.answers["syncing"] = SYNCING
            node.answers["attestation_data"] = lambda slot, _index: lie(rng, slot)


def mend(node: ScriptedNode, rng: Random) -> None:
    node.down = False
    node.delay_s = rng.uniform(0.002, 0.25)
    node.answers.update(
        {
            "attestation_data": lambda slot, _index: honest(slot),
            "attester_duties": lambda epoch, _: attester_duties(epoch * 8, epoch=epoch),
            "submit_attestations": None,
            "syncing": SYNCED,
        }
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_one_bad_node_of_three_costs_nothing(seed: int) -> None:
    rng = Random(f"{seed}/faults")

    async def scenario(world: World) -> None:
        world.watch()
        bad = "a"
        for name in "abc":
            mend(world[name], rng)
        for slot in range(SLOT, SLOT + SLOTS):
            if rng.random() < 0.3:
                mend(world[bad], rng)
                bad = rng.choice("abc")
                spoil(world[bad], rng)
            began_s = world.now_s
            assert await world.attestation(slot) == honest(slot)
            assert world.now_s - began_s < SLOT_S / 6, "in time"
            duties = await world.several.attester_duties(slot // 8, (0,))
            assert [duty.slot for duty in duties.duties] == [slot // 8 * 8]
            await world.several.submit_attestations(Fork.ELECTRA, ())
            assert world.now_s - began_s < SLOT_S / 2
            await asyncio.sleep((slot + 1 - SLOT) * SLOT_S - world.now_s)
        mend(world[bad], rng)
        await asyncio.sleep(90)
        assert set(world.several.conditions.values()) == {"healthy"}

    run(scenario, seed=seed)
