"""The composite as a whole: every method of the port, and equal runs for equal seeds."""

import asyncio

from tests.ethereum.beacon_nodes.scripted_nodes import (
    EPOCH,
    GENESIS,
    SLOT,
    SYNCED,
    World,
    data,
    root,
    run,
)

from tetrarch.ethereum.beacon_node.ports import (
    BlockSummary,
)
from tetrarch.ethereum.spec.values import Fork


def test_every_other_method_reaches_the_nodes() -> None:
    summary = BlockSummary(slot=SLOT, root=root("head"), parent_root=root("p"), proposer_index=1)

    async def scenario(world: World) -> None:
        several = world.several
        for name in "abc":
            world[name].answers.update(dict.fromkeys(SUBMISSIONS, None), head=summary, block=None)
        assert await several.head() == summary
        assert await several.block("head") is None
        assert (await several.syncing()) == SYNCED
        assert (await several.finality_checkpoints()).finalized.epoch == EPOCH - 1
        assert await several.genesis() == GENESIS
        assert several.name == "a, b, c"
        for what in SUBMISSIONS:
            await getattr(several, what)(*((Fork.ELECTRA, ()) if "aggregates" in what else ((),)))
            await asyncio.sleep(1)
            assert all(what in world[name].finished for name in "abc")

    run(scenario)


SUBMISSIONS = (
    "submit_aggregates",
    "submit_sync_messages",
    "submit_contributions",
    "submit_exit",
    "register_validators",
    "prepare_beacon_proposer",
    "subscribe_committees",
    "subscribe_sync_committees",
)


def test_equal_seeds_give_equal_runs() -> None:
    async def scenario(world: World) -> tuple[object, ...]:
        world.watch()
        for name, head in zip("abc", ("x", "y", "y"), strict=True):
            world[name].answers["attestation_data"] = data(head)
        await world.attestation()
        await world.several.attester_duties(EPOCH, (0,))
        await world.several.submit_attestations(Fork.ELECTRA, ())
        world["b"].down = True
        await asyncio.sleep(40)
        return world.notes.lines, world.notes.outcomes, world.now_s

    assert run(scenario, seed=5) == run(scenario, seed=5)
