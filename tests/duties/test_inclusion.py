"""The look at the chain: what is asked of the beacon node, how often, and what comes of it."""

import asyncio
from dataclasses import replace
from typing import Any

from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    Validators,
    attestation_data,
    recorded,
    sleep_until,
)
from tests.duties.test_inclusion_rules import bits

from tetrarch.duties.errors import DutyNotFound, DutyNotResolved
from tetrarch.duties.inclusion import BLOCKS_PER_CHECK_MAX, WATCHED_MAX, Inclusion
from tetrarch.duties.inclusion_rules import UNKNOWN_SLOTS
from tetrarch.duties.report import InclusionReport, Verdict
from tetrarch.duties.types import (
    AttestationPayload,
    DefinitionSet,
    Duty,
    DutyType,
    RandaoPayload,
    SignedData,
    SignedDataSet,
)
from tetrarch.ethereum.beacon_node.content import BlockContent, BlockVotes
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BlockSummary
from tetrarch.sim.loop import SimClock, simulate

VALIDATORS = Validators(2)


def root_of(slot: int, branch: bytes = b"a") -> bytes:
    return branch * 24 + slot.to_bytes(8, signed=True)


class Chain:
    """A beacon node's chain: a block in each slot but the empty ones."""

    def __init__(self, clock: SimClock) -> None:
        self.clock = clock
        self.blocks: dict[bytes, BlockContent] = {}
        self.tip = b""
        self.asked: list[str] = []
        self.away = False
        for slot in range(200):
            self.extend(slot)

    def extend(self, slot: int, *, branch: bytes = b"a", parent: bytes | None = None) -> None:
        root = root_of(slot, branch)
        votes = []
        if slot > 0:
            data = attestation_data(slot - 1)
            votes = [BlockVotes(data=data, voters=bits(16, 0, 8), committees=(0, 1))]
        self.blocks[root] = BlockContent(
            slot=slot,
            proposer_index=1,
            parent_root=root_of(slot - 1) if parent is None else parent,
            votes=tuple(votes),
            sync_voters=None,
        )

    async def head(self) -> BlockSummary:
        self.asked.append("head")
        if self.away:
            raise BeaconNodeUnreachable("ask beacon node")
        root = self.tip or root_of(CHAIN.slot_at(self.clock.wall_s()))
        content = self.blocks[root]
        return BlockSummary(
            slot=content.slot, root=root, parent_root=content.parent_root, proposer_index=1
        )

    async def block_content(self, root: bytes) -> BlockContent | None:
        self.asked.append("block")
        return self.blocks.get(root)

    async def committee_lengths(self, slot: int) -> tuple[int, ...]:
        self.asked.append(f"lengths {slot}")
        return (8, 8)


class Known:
    resolved = True

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        if not self.resolved:
            raise DutyNotResolved("look up duty", duty=duty)
        if duty.slot == 13:
            raise DutyNotFound("look up duty", duty=duty)
        return DefinitionSet(duty=duty, definitions=VALIDATORS.definitions(duty.slot).definitions)


class World:
    def __init__(self, *, slot: float = 9.5) -> None:
        self.clock = SimClock(asyncio.get_running_loop(), offset_s=12.0 * slot)
        self.chain = Chain(self.clock)
        self.log = RecordingLog()
        self.known = Known()
        beacon_node: Any = self.chain
        self.inclusion = Inclusion(
            beacon_node=beacon_node,
            definitions=self.known,
            chain=CHAIN,
            clock=self.clock,
            log=self.log,
        )
        self.settled: list[InclusionReport] = recorded(self.inclusion.settled)

    async def vote(self, slot: int, *, head: bytes = b"h" * 32) -> Duty:
        payload = AttestationPayload(data=attestation_data(slot, head=head))
        items = tuple(
            SignedData(pubkey=pubkey, payload=payload, signature=b"s" * 96)
            for pubkey in VALIDATORS.pubkeys
        )
        duty = Duty(slot, DutyType.ATTESTER)
        await self.inclusion.watch(SignedDataSet(duty=duty, items=items))
        return duty

    async def look(self, slot: int) -> None:
        await sleep_until(slot, self.clock)
        await self.inclusion.check(slot)


def play(scenario: Any, **options: Any) -> None:
    async def main() -> None:
        await scenario(World(**options))

    simulate(main, seed="inclusion")


def test_votes_are_found_and_told_of_once() -> None:
    async def scenario(world: World) -> None:
        duty = await world.vote(9)
        for slot in range(10, 15):
            await world.look(slot)
            assert world.inclusion.is_open(duty) is (slot < 13)
        (answer,) = world.settled
        assert (answer.verdict, answer.included, answer.distance) == (Verdict.INCLUDED, 2, 1)

    play(scenario)


def test_one_head_and_one_block_a_slot_whatever_the_duties() -> None:
    async def scenario(world: World) -> None:
        for slot in range(15, 30):
            await world.vote(slot - 1)
            asked = len(world.chain.asked)
            await world.look(slot)
            first = ["block"] if slot == 15 else []  # that of the duty itself
            # How long the committees are is asked once for a slot with a duty, where it matters.
            lengths = [f"lengths {slot - 1}"]
            assert world.chain.asked[asked:] == ["head", "block", *first, *lengths]

    play(scenario)


def test_nothing_is_asked_while_nothing_is_looked_for() -> None:
    async def scenario(world: World) -> None:
        for slot in range(10, 14):
            await world.look(slot)
        assert world.chain.asked == []

    play(scenario)


def test_look_is_in_the_last_quarter_of_the_slot() -> None:
    async def scenario(world: World) -> None:
        await world.vote(9)
        await world.look(10)
        assert 9 <= world.clock.wall_s() - CHAIN.slot_start_s(10) < 9.1

    play(scenario)


def test_vote_that_no_block_takes_up_is_not_included() -> None:
    async def scenario(world: World) -> None:
        await world.vote(9, head=root_of(9))  # right, and left out
        for slot in range(10, 43):
            await world.look(slot)
        (answer,) = world.settled
        assert (answer.verdict, answer.included, answer.due) == (Verdict.NOT_INCLUDED, 0, 2)

    play(scenario)


def test_reorg_is_followed_by_parent_roots() -> None:
    async def scenario(world: World) -> None:
        await world.vote(9)
        world.chain.extend(10, branch=b"b", parent=root_of(9))
        empty = replace(world.chain.blocks[root_of(10, b"b")], votes=())
        world.chain.blocks[root_of(10, b"b")] = empty
        await world.look(10)  # on the branch that is about to lose
        for slot in range(11, 16):
            parent = root_of(slot - 1, b"b")
            world.chain.extend(slot, branch=b"b", parent=parent)
            votes = world.chain.blocks[root_of(10)].votes if slot == 12 else ()
            content = replace(world.chain.blocks[root_of(slot, b"b")], votes=votes)
            world.chain.blocks[root_of(slot, b"b")] = content
            world.chain.tip = root_of(slot, b"b")
            await world.look(slot)
        (answer,) = world.settled
        assert (answer.verdict, answer.distance) == (Verdict.INCLUDED, 3)

    play(scenario)


def test_beacon_node_that_is_away_makes_no_miss_and_is_caught_up_with() -> None:
    async def scenario(world: World) -> None:
        duty = await world.vote(9)
        world.chain.away = True
        for slot in range(10, 40):
            await world.look(slot)
        assert world.inclusion.is_open(duty)
        assert world.log.find("inclusion_not_checked")
        world.chain.away = False
        for slot in range(40, 43):
            asked = world.chain.asked.count("block")
            await world.look(slot)
            assert world.chain.asked.count("block") - asked <= BLOCKS_PER_CHECK_MAX
        (answer,) = world.settled
        assert answer.verdict is Verdict.INCLUDED

    play(scenario)


def test_beacon_node_that_never_tells_leaves_the_answer_open() -> None:
    async def scenario(world: World) -> None:
        await world.vote(9)
        world.chain.away = True
        for slot in range(10, 51):
            await world.look(slot)
        (answer,) = world.settled
        assert answer.verdict is Verdict.UNKNOWN

    play(scenario)


def test_what_is_not_on_chain_or_nobodys_is_not_looked_for() -> None:
    async def scenario(world: World) -> None:
        reveal = SignedData(
            pubkey=VALIDATORS.pubkeys[0], payload=RandaoPayload(epoch=1), signature=b"s" * 96
        )
        randao = Duty(9, DutyType.RANDAO)
        await world.inclusion.watch(SignedDataSet(duty=randao, items=(reveal,)))
        assert not world.inclusion.is_open(randao)
        assert not world.inclusion.is_open(await world.vote(13))

    play(scenario)


def test_what_comes_before_its_epoch_is_resolved_is_looked_for_as_soon_as_it_is() -> None:
    async def scenario(world: World) -> None:
        world.known.resolved = False
        duty = await world.vote(9)
        await world.look(10)
        assert world.inclusion.is_open(duty)
        assert world.chain.asked == []
        world.known.resolved = True
        for slot in range(11, 15):
            await world.look(slot)
        (answer,) = world.settled
        assert (answer.verdict, answer.included, answer.distance) == (Verdict.INCLUDED, 2, 1)

    play(scenario)


def test_what_is_never_resolved_is_given_up() -> None:
    async def scenario(world: World) -> None:
        world.known.resolved = False
        duty = await world.vote(9)
        await world.look(9 + UNKNOWN_SLOTS)
        assert world.inclusion.is_open(duty)
        await world.look(10 + UNKNOWN_SLOTS)
        assert not world.inclusion.is_open(duty)
        for slot in range(20, 30 + WATCHED_MAX):
            await world.vote(slot)
        assert sum(world.inclusion.is_open(Duty(n, DutyType.ATTESTER)) for n in range(400)) == 256

    play(scenario)


def test_memory_is_bounded() -> None:
    async def scenario(world: World) -> None:
        for slot in range(20, 20 + WATCHED_MAX + 10):
            await world.vote(slot)
        assert [each.slot for each in world.settled] == list(range(20, 30))
        assert {each.verdict for each in world.settled} == {Verdict.UNKNOWN}

    play(scenario)
