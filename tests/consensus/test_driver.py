"""The component: one isolated, bounded instance per duty, from first word to deadline."""

import asyncio
import math
import tracemalloc
from collections.abc import Sequence
from random import Random

import pytest
from tests.consensus.building import COMMIT, DUTY, PRE_PREPARE, PREPARE, ROUND_CHANGE, A
from tests.consensus.cluster import LIFE_S, Cluster, cluster, run

from tetrarch.consensus.codec import VALUE_SIZE_MAX_BYTES, Item, ValueItem, WantItem, hash_value
from tetrarch.consensus.driver import OPENED_BY_PEER_MAX
from tetrarch.consensus.events import Verdict
from tetrarch.consensus.instance import FAULTS_MAX
from tetrarch.consensus.messages import (
    NO_VALUE,
    Envelope,
    Justification,
    Message,
    MessageType,
    ValueHash,
    leader,
)
from tetrarch.consensus.votes import MemoryVoteLog, Vote
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid, Transient
from tetrarch.network.ports import Topic
from tetrarch.sim.network import Faults

ALL = (0, 1, 2, 3)
VALUE = b"v" * 30_000
V = hash_value(VALUE)


def say(
    world: Cluster, source: int, kind: MessageType, round_: int, value: ValueHash, duty: Duty = DUTY
) -> Envelope:
    """As an honest node would, with the leader's word in a PREPARE."""
    proof: Justification = ()
    if kind is PREPARE and value != NO_VALUE:
        first = leader(duty, round_, 4)
        proof = (world.codec(first).sign(Message(PRE_PREPARE, duty, first, round_, value)),)
    return Envelope(world.codec(source).sign(Message(kind, duty, source, round_, value)), proof)


def test_four_nodes_decide_the_leaders_value_once() -> None:
    async def scenario() -> None:
        async with cluster(started=ALL) as world:
            for index, node in world.nodes.items():
                await node.component.propose(DUTY, b"value %d" % index)
            await asyncio.sleep(0.5)
            for node in world.nodes.values():
                (decided,) = node.decided
                assert (decided.value, decided.round, decided.leader) == (b"value 3", 1, 3)
                assert decided.started_s <= decided.decided_s

    run(scenario)


def test_value_travels_once_to_each_node() -> None:
    """The leader sends it with its proposal; every other message names it by hash."""

    async def scenario() -> None:
        sizes: list[int] = []
        async with cluster(started=ALL) as world:
            world.network.taps.append(lambda source, topic, payload: sizes.append(len(payload)))
            await world.nodes[3].component.propose(DUTY, VALUE)
            await asyncio.sleep(0.5)
            assert all(node.decided for node in world.nodes.values())
        assert sum(size > len(VALUE) for size in sizes) == 3
        assert len(sizes) == 12 + 12, "the leader's PREPARE goes with its proposal"
        assert sum(sizes) < 3 * len(VALUE) + 27 * 230

    run(scenario)


def test_value_that_was_lost_is_fetched_from_one_peer_after_another() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            wants: list[int] = []

            def tap(source: int, topic: Topic, payload: bytes) -> None:
                items = world.codec(0).decode(payload)
                wants.extend(source for item in items if isinstance(item, WantItem))

            world.network.taps.append(tap)
            proposal = say(world, 3, PRE_PREPARE, 1, V)
            for target in (1, 2):
                world.speak(3, target, [proposal, ValueItem(DUTY, VALUE)])
            world.speak(3, 0, [proposal])  # a leader that withholds the value from node 0
            await asyncio.sleep(0.9)
            assert [node.decided[0].value for node in world.nodes.values()] == [VALUE] * 3
            assert set(wants) == {0}
            assert 2 <= len(wants) <= 4, "the silent leader first, then one that has it"

    run(scenario)


def test_value_that_nobody_named_is_dropped() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            world.speak(3, 0, [say(world, 3, PREPARE, 1, A), ValueItem(DUTY, VALUE)])
            await asyncio.sleep(0.1)
            assert world.nodes[0].notes.drops == [(3, "value_not_wanted")]

    run(scenario)


def test_wrong_value_for_a_hash_is_not_taken() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            world.speak(3, 0, [say(world, 3, PRE_PREPARE, 1, V), ValueItem(DUTY, b"other")])
            await asyncio.sleep(0.1)
            assert (3, "value_not_wanted") in world.nodes[0].notes.drops
            assert not any("prepare" in text for text in world.nodes[0].notes.said)

    run(scenario)


def test_dead_leader_costs_one_round() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            await world.propose_all()
            await asyncio.sleep(1.5)
            for node in world.nodes.values():
                assert [decided.round for decided in node.decided] == [2]
                assert node.notes.rounds == [(2, "no_proposal")]

    run(scenario)


def test_late_node_learns_the_decision_until_the_deadline() -> None:
    async def scenario() -> None:
        async with cluster(started=(1, 2, 3)) as world:
            await world.propose_all(VALUE)
            await asyncio.sleep(30)
            late = world.start(0)
            await asyncio.sleep(0.01)
            await late.component.participate(DUTY)
            await asyncio.sleep(2)
            assert [decided.value for decided in late.decided] == [VALUE]

    run(scenario)


def test_instance_ends_at_the_deadline_and_says_why() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1)) as world:
            await world.propose_all()
            assert world.nodes[0].component.instance_count == 1
            await asyncio.sleep(LIFE_S + 1)
            for node in world.nodes.values():
                assert node.component.instance_count == 0
                assert [undecided.reason for undecided in node.undecided] == [
                    "too_few_round_changes"
                ]
                assert await node.votes.votes(DUTY) == ()
            await world.propose_all()
            assert world.nodes[0].component.instance_count == 0, "nothing reopens it"

    run(scenario)


def test_duty_without_end_is_not_taken() -> None:
    """Nothing would ever remove it."""

    async def scenario() -> None:
        for end in (None, math.inf):
            async with cluster() as world:
                world.end_s = end
                node = world.start(0)
                await asyncio.sleep(0.001)
                await node.component.propose(DUTY, b"x")
                world.speak(3, 0, [say(world, 3, PREPARE, 1, A)])
                await asyncio.sleep(0.1)
                assert node.component.instance_count == 0
                assert node.notes.drops == [(3, "duty_over")]

    run(scenario)


def test_duty_that_may_not_be_spoken_of_is_refused() -> None:
    async def scenario() -> None:
        async with cluster() as world:
            world.may_speak_of = lambda duty: duty.slot < 10
            node = world.start(0)
            await asyncio.sleep(0.001)
            far = Duty(10, DutyType.ATTESTER)
            world.speak(3, 0, [say(world, 3, PREPARE, 1, A, far)])
            world.speak(3, 0, [ValueItem(DUTY, b"x")])
            await asyncio.sleep(0.1)
            assert node.component.instance_count == 0
            assert sorted(node.notes.drops) == [(3, "duty_refused"), (3, "duty_unknown")]

    run(scenario)


def test_peer_opens_a_bounded_number_of_instances() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            for slot in range(100):
                duty = Duty(slot, DutyType.ATTESTER)
                world.speak(3, 0, [say(world, 3, PREPARE, 1, A, duty)])
            await asyncio.sleep(0.1)
            node = world.nodes[0]
            assert node.component.instance_count == OPENED_BY_PEER_MAX
            assert node.notes.drops == [(3, "too_many_duties")] * (100 - OPENED_BY_PEER_MAX)
            await node.component.participate(Duty(99, DutyType.ATTESTER))
            world.speak(2, 0, [say(world, 2, PREPARE, 1, A, Duty(98, DutyType.ATTESTER))])
            await asyncio.sleep(0.1)
            assert node.component.instance_count == OPENED_BY_PEER_MAX + 2, "others are not harmed"

    run(scenario)


def test_garbage_relays_and_wrong_signatures_are_faults_of_the_sender() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            good = say(world, 1, PREPARE, 1, A)
            world.speak(3, 0, [good])
            by_another = world.codec(2).sign(Message(PREPARE, DUTY, 3, 1, A))
            forged = Envelope(by_another, say(world, 3, PREPARE, 1, A).justification)
            world.speak(3, 0, [forged])
            world.network.carry(3, 0, Topic.CONSENSUS, b"garbage")
            world.speak(3, 0, [say(world, 3, PREPARE, 1, NO_VALUE)])
            await asyncio.sleep(0.1)
            assert sorted(world.nodes[0].notes.faults) == sorted(
                [
                    (3, "relayed"),
                    (3, "consensus_signature_wrong"),
                    (3, "consensus_message_invalid"),
                    (3, "unjustified_prepare"),
                ]
            )

    run(scenario)


def test_peer_that_lies_on_is_heard_no_more() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            checks: list[int] = []
            codec = world.nodes[0].codec
            real = codec.check

            def counted(envelope: Envelope) -> None:
                checks.append(1)
                real(envelope)

            codec.check = counted  # type: ignore[method-assign] # a spy
            own = world.codec(3).sign(Message(COMMIT, DUTY, 3, 1, A))
            for round_ in range(1, 60):
                lie = Message(MessageType.DECIDED, DUTY, 3, round_, A)
                world.speak(3, 0, [Envelope(world.codec(3).sign(lie), (own,) * 8)])
            await asyncio.sleep(0.5)
            notes = world.nodes[0].notes
            assert notes.faults == [(3, "unjustified_decided")] * FAULTS_MAX
            assert notes.drops == [(3, "too_many_faults")] * (59 - FAULTS_MAX)
            assert not checks, "no signature is checked for a proof of the wrong form"

    run(scenario)


class WitnessLog(MemoryVoteLog):
    """Takes its time, and knows what is durable."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: set[tuple[int, MessageType]] = set()

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        await asyncio.sleep(0.005)
        allowed = await super().record(votes)
        self.durable |= {(vote.round, vote.type) for vote in allowed}
        return allowed


def test_vote_is_durable_before_it_leaves() -> None:
    async def scenario() -> None:
        async with cluster(started=(1, 2)) as world:
            log = WitnessLog()
            world.start(3, votes=log)
            await asyncio.sleep(0.001)
            seen: list[MessageType] = []

            def tap(source: int, topic: Topic, payload: bytes) -> None:
                for item in world.codec(0).decode(payload):
                    if source == 3 and isinstance(item, Envelope):
                        seen.append(item.message.type)
                        assert (item.message.round, item.message.type) in log.durable

            world.network.taps.append(tap)
            await world.propose_all()
            await asyncio.sleep(0.5)
            assert set(seen) == {PRE_PREPARE, PREPARE, COMMIT}
            prepare = next(vote for vote in await log.votes(DUTY) if vote.type is PREPARE)
            assert prepare.value == b"value", "whoever consents can give the value again"

    run(scenario)


def test_node_whose_log_is_contradicted_falls_silent() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            log = MemoryVoteLog()
            await log.record([Vote(duty=DUTY, round=1, type=COMMIT, value_hash=A, content=b"")])

            class Elsewhere(MemoryVoteLog):
                """Shows no votes, as if another process wrote them after this one had started."""

                async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
                    return await log.record(votes)

            silenced = world.start(3, votes=Elsewhere())
            await asyncio.sleep(0.001)
            await world.propose_all()
            await asyncio.sleep(0.9)
            assert silenced.notes.faults == [(3, "own_vote_contradicted")]
            assert not any("commit" in text for text in silenced.notes.said)
            assert all(world.nodes[index].decided for index in (0, 1, 2))

    run(scenario)


def test_node_that_cannot_read_its_votes_falls_silent() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            log = MemoryVoteLog()
            await log.record([Vote(duty=DUTY, round=1, type=COMMIT, value_hash=A, content=b"?")])
            silenced = world.start(3, votes=log)
            await asyncio.sleep(0.001)
            await world.propose_all()
            await asyncio.sleep(2)
            assert silenced.notes.faults == [(3, "own_vote_unreadable")]
            assert silenced.notes.said == []
            assert all(world.nodes[index].decided for index in (0, 1, 2))

    run(scenario)


def test_value_that_the_check_cannot_read_is_refused() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:

            async def check(duty: Duty, value: bytes, round_: int) -> Verdict:
                raise InputInvalid("decode set")

            node = world.start(1, checker=check)
            await asyncio.sleep(0.001)
            world.speak(3, 1, [say(world, 3, PRE_PREPARE, 1, V), ValueItem(DUTY, VALUE)])
            await asyncio.sleep(1.9)
            assert node.notes.said == [f"round_change round=2 value={bytes(4).hex()}"]
            assert node.notes.rounds == [(2, "value_not_accepted")]

    run(scenario)


def test_restarted_node_keeps_its_round_and_its_word() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1)) as world:
            log = MemoryVoteLog()
            world.start(2, votes=log)
            await asyncio.sleep(0.001)
            world.speak(3, 2, [say(world, 3, PRE_PREPARE, 1, V), ValueItem(DUTY, VALUE)])
            await asyncio.sleep(0.1)
            await world.crash(2)
            again = world.start(2, votes=log)
            await asyncio.sleep(0.001)
            await again.component.propose(DUTY, b"another")
            other = hash_value(b"another")
            world.speak(3, 2, [say(world, 3, PRE_PREPARE, 1, other), ValueItem(DUTY, b"another")])
            await asyncio.sleep(0.2)
            assert [text for text in again.notes.said if "prepare" in text] == [
                f"prepare round=1 value={V[:4].hex()}"
            ]
            assert (3, "two_proposals") in again.notes.faults

    run(scenario)


def test_check_that_cannot_tell_is_asked_again_in_the_next_round() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            asked: list[bytes] = []

            async def check(duty: Duty, value: bytes, round_: int) -> Verdict:
                asked.append(value)
                if len(asked) == 1:
                    raise Transient("ask the beacon node")
                return Verdict.OK

            world.start(3, checker=check)
            await asyncio.sleep(0.001)
            await world.crash(1)  # all three others are needed
            await world.propose_all()
            await asyncio.sleep(4)
            assert len(asked) >= 2
            assert world.nodes[3].decided[0].round > 1

    run(scenario)


def test_refused_value_is_not_prepared_and_another_one_wins() -> None:
    async def scenario() -> None:
        async def check(duty: Duty, value: bytes, round_: int) -> Verdict:
            return Verdict.REFUSED if value == b"bad" else Verdict.OK

        async with cluster() as world:
            for index in ALL:
                world.start(index, checker=check)
            await asyncio.sleep(0.001)
            for index, node in world.nodes.items():
                await node.component.propose(DUTY, b"bad" if index == 3 else b"good")
            await asyncio.sleep(3)
            for node in world.nodes.values():
                assert [decided.value for decided in node.decided] == [b"good"]
            assert world.nodes[0].notes.rounds == [(2, "value_not_accepted")]

    run(scenario)


def test_slow_log_or_check_of_one_duty_holds_up_no_other() -> None:
    async def scenario() -> None:
        async def check(duty: Duty, value: bytes, round_: int) -> Verdict:
            if duty == DUTY:
                await asyncio.sleep(5)
            return Verdict.OK

        async with cluster() as world:
            for index in ALL:
                world.start(index, checker=check)
            await asyncio.sleep(0.001)
            other = Duty(0, DutyType.PROPOSER)
            await world.propose_all(duty=DUTY)
            await world.propose_all(duty=other)
            await asyncio.sleep(0.5)
            for node in world.nodes.values():
                assert [decided.duty for decided in node.decided] == [other]

    run(scenario)


def test_flooding_peer_is_bounded_and_the_others_decide() -> None:
    async def scenario() -> None:
        async with cluster(started=(0, 1, 2)) as world:
            await world.propose_all()
            for round_ in range(1, 900):
                for kind in (PREPARE, COMMIT, ROUND_CHANGE):
                    value = A if kind is not ROUND_CHANGE else ValueHash(bytes(32))
                    world.speak(3, 0, [say(world, 3, kind, round_, value)])
            await asyncio.sleep(2)
            assert all(node.decided for node in world.nodes.values())
            drops = world.nodes[0].notes.drops
            assert {peer for peer, _ in drops} == {3}
            assert {reason for _, reason in drops} <= {"peer_budget", "inbox_full"}

    run(scenario)


def test_memory_is_bounded_under_a_flood_of_values_proofs_and_duties() -> None:
    """All that a lying peer may keep here: votes, one ROUND-CHANGE and no value per duty."""

    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            rng = Random(1)
            codec = world.codec(3)
            proof = tuple(codec.sign(Message(PREPARE, DUTY, 3, 1, A)) for _ in range(8))
            node = world.nodes[0]

            async def flood(count: int) -> None:
                for step in range(count):
                    duty = Duty(rng.randrange(40), DutyType.ATTESTER)
                    kind = rng.choice([PREPARE, COMMIT, ROUND_CHANGE])
                    value = A if kind is not ROUND_CHANGE else NO_VALUE
                    good = codec.sign(Message(kind, duty, 3, rng.randint(1, 1_000), value))
                    lie = codec.sign(Message(MessageType.DECIDED, duty, 3, 1, A))
                    items: list[Item] = [Envelope(good), ValueItem(duty, rng.randbytes(20_000))]
                    world.speak(3, 0, [*items, Envelope(lie, proof)] if step % 9 == 0 else items)
                    await asyncio.sleep(0.0005)

            tracemalloc.start()
            try:
                await flood(300)
                before_bytes, _ = tracemalloc.get_traced_memory()
                await flood(3_000)
                after_bytes, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            assert node.component.instance_count == OPENED_BY_PEER_MAX
            # 60 MB of values came in; what may stay is votes and signatures known to be right.
            assert after_bytes - before_bytes < 4_000_000

    run(scenario)


def test_cut_off_node_catches_up_when_the_network_heals() -> None:
    async def scenario() -> None:
        async with cluster(started=ALL) as world:
            for other in (0, 1, 3):
                world.network.block(other, 2)
            await world.propose_all(VALUE)
            await asyncio.sleep(5)
            assert not world.nodes[2].decided
            world.network.heal(Faults())
            await asyncio.sleep(5)
            assert [decided.value for decided in world.nodes[2].decided] == [VALUE]

    run(scenario)


def test_empty_and_oversize_values_are_refused() -> None:
    async def scenario() -> None:
        async with cluster(started=(0,)) as world:
            for value in (b"", bytes(VALUE_SIZE_MAX_BYTES + 1)):
                with pytest.raises(InputInvalid):
                    await world.nodes[0].component.propose(DUTY, value)

    run(scenario)


def test_single_node_decides_alone() -> None:
    async def scenario() -> None:
        async with cluster(1, started=(0,)) as world:
            await world.propose_all()
            await asyncio.sleep(0.1)
            assert [decided.value for decided in world.nodes[0].decided] == [b"value"]

    run(scenario)
