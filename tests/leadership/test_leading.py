"""Blocks on time, once, by leaders that come and go; what becomes of each is said."""

import asyncio

from tests.leadership.leading_world import SLOTS_PER_EPOCH, START_S, leading, run

from tetrarch.leadership.logs import Status
from tetrarch.ledger.blocks import decode_block
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.keyring import SlotTaken
from tetrarch.network.overlay.chain import Verdict
from tetrarch.sim.ledger_keys import SimKeys
from tetrarch.sim.loop import EPOCH_S


def test_each_slot_has_its_block_across_epochs_and_it_is_accepted() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(2.5 * SLOTS_PER_EPOCH + 0.5)
            dates = [place.header.date for place in world.chain.tree.places()]
            slots = range(2 * SLOTS_PER_EPOCH + SLOTS_PER_EPOCH // 2 + 1)
            expected = [BlockDate(*divmod(slot, SLOTS_PER_EPOCH)) for slot in slots]
            assert dates == expected, "also the first slot of each epoch"
            ended = [entry for entry in world.logs if entry.status is not Status.PENDING]
            assert {entry.status for entry in ended} == {Status.ACCEPTED}
            assert max(entry.late_s or 0.0 for entry in ended) < 0.001

    run(main)


def test_however_often_it_is_triggered_the_work_is_done_once() -> None:
    async def main() -> None:
        async with leading() as world:
            for slot in range(15):
                await world.until(slot + 0.3)
                for _ in range(20):
                    world.leadership.look()
            blocks = [decode_block(each).header.date for each in world.proposed]
            assert len(blocks) == len(set(blocks)) == 14

    run(main)


def test_the_schedule_is_listed_before_its_time_and_how_much_of_it_is_known() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(-0.5)
            to_come = [entry.date for entry in world.logs.to_come()]
            assert to_come[0] == BlockDate(0, 1), "the chain's first block has the first slot"
            assert to_come[-1] == BlockDate(1, SLOTS_PER_EPOCH - 1)
            assert [(each.epoch, each.slots_known) for each in world.leadership.progress()] == [
                (0, SLOTS_PER_EPOCH),
                (1, SLOTS_PER_EPOCH),
            ]

    run(main)


def test_leaders_come_and_go_while_it_runs() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(3.5)
            added = await world.leadership.add_leader()
            assert [each.number for each in world.leadership.leaders] == [0, added.number]
            await world.leadership.drop_leader(0)
            await world.until(8.5)
            assert world.tip.header.date == BlockDate(0, 3), "nobody leads in turn any more"
            assert [each.number for each in world.leadership.leaders] == [added.number]
            assert world.logs.to_come() == []

    run(main)


def test_a_slot_whose_time_is_over_is_told_and_not_made() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(3.2)
            world.clock.offset_s = 2.4  # the host's clock is set: two slots are gone at once
            await world.until(4.3)
            outcomes = world.outcomes()
            assert outcomes["0.4"] == outcomes["0.5"] == "rejected"
            late = [entry.reason for entry in world.logs if str(entry.date) == "0.4"]
            assert "late" in late[0]

    run(main)


def test_a_node_that_starts_within_its_slot_leads_it() -> None:
    async def main() -> None:
        await asyncio.sleep(START_S - EPOCH_S + 3.2)
        async with leading() as world:
            await world.until(3.9)
            assert world.tip.header.date == BlockDate(0, 3)
            assert world.outcomes()["0.3"] in {"made", "accepted"}
            assert "0.2" not in world.outcomes(), "those before it are nobody's any more"

    run(main)


class TakenKeys(SimKeys):
    """Another copy of them was faster."""

    async def sign_block(self, *args: object, **how: object) -> object:  # type: ignore[override]
        raise SlotTaken("sign block", date="0.1", latest="0.1")


def test_what_the_keys_refuse_is_told_with_the_reason() -> None:
    async def main() -> None:
        async with leading(TakenKeys) as world:
            await world.until(2.5)
            assert world.outcomes()["0.1"] == world.outcomes()["0.2"] == "rejected"
            (entry, *_) = (each for each in world.logs if each.status is Status.REJECTED)
            assert "ledger_slot_taken" in entry.reason
            assert world.log.find("block_not_made")

    run(main)


def test_a_block_that_the_own_chain_refuses_is_told_loudly() -> None:
    async def main() -> None:
        async with leading() as world:
            world.verdict = Verdict.INVALID
            await world.until(1.5)
            assert world.outcomes()["0.1"] == "orphaned"
            assert world.log.find("own_block_refused")

    run(main)


def test_keys_that_fail_leave_the_rest_at_work() -> None:
    class Failing(SimKeys):
        async def sign_block(self, *args: object, **how: object) -> object:  # type: ignore[override]
            if not hasattr(self, "failed"):
                self.failed = True
                raise SlotTaken("sign block")
            return await super().sign_block(*args, **how)  # type: ignore[arg-type]

    async def main() -> None:
        async with leading(Failing) as world:
            await world.until(3.5)
            assert world.outcomes()["0.1"] == "rejected"
            assert world.outcomes()["0.2"] == world.outcomes()["0.3"] == "accepted"

    run(main)
