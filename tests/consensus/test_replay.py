"""A dump of one node's messages replays to the same decision, and tells why rounds changed."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from tests.consensus.building import DUTY
from tests.consensus.cluster import LIFE_S, Cluster

from tetrarch.consensus.codec import hash_value
from tetrarch.consensus.driver import Consensus
from tetrarch.consensus.dump import Dump, Entry, MessageDump, RecordingBus, decode_dump, encode_dump
from tetrarch.consensus.messages import Envelope, Message, MessageType, ValueHash, leader
from tetrarch.consensus.ports import Decided
from tetrarch.consensus.replay import Story, replay
from tetrarch.consensus.votes import MemoryVoteLog
from tetrarch.network.ports import MessageBus
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.sim.qbft_world import QbftWorld, draw
from tetrarch.sim.trace import Trace


@dataclass
class Played:
    dump: Dump
    decided_round: int
    value: bytes

    @property
    def story(self) -> Story:
        (story,) = replay(self.dump)
        return story


def play(*, dead: int | None, watcher: int) -> Played:
    async def scenario() -> Played:
        cluster = Cluster()
        dump = MessageDump(cluster_hash="abcdef0", node_count=4, own_index=watcher)
        clock = SimClock(asyncio.get_running_loop())
        async with cluster.tasks:
            for index in range(4):
                if index == watcher:
                    cluster.start(index, wrap=lambda bus: RecordingBus(bus, dump, clock))
                elif index != dead:
                    cluster.start(index)
            await asyncio.sleep(0.001)
            await cluster.propose_all()
            await asyncio.sleep(LIFE_S / 2)
            (decided,) = cluster.nodes[watcher].decided
            for node in cluster.nodes.values():
                assert node.task is not None
                node.task.cancel()
        return Played(dump.snapshot(), decided.round, decided.value)

    return simulate(scenario, seed="replay")


FIRST = leader(DUTY, 1, 4)
OTHERS = [node for node in range(4) if node != FIRST]


@pytest.mark.parametrize("watcher", OTHERS)
def test_dead_leader_replays_to_the_same_decision(watcher: int) -> None:
    played = play(dead=FIRST, watcher=watcher)
    story = played.story
    assert played.decided_round == 2
    assert story.decided_round == 2
    assert story.decided_value == hash_value(played.value).hex()
    assert story.unexplained == ()


def test_story_says_who_was_silent_and_what_each_round_lacked() -> None:
    first, second = play(dead=FIRST, watcher=OTHERS[0]).story.rounds
    assert (first.leader, first.lacked) == (FIRST, "no_proposal")
    assert first.presence["pre_prepare"] == "".join("?" if n == FIRST else "_" for n in range(4))
    assert first.presence["round_change"] == "____"
    assert (second.leader, second.lacked) == (leader(DUTY, 2, 4), "")
    all_but_the_dead = "".join("?" if node == FIRST else "*" for node in range(4))
    assert second.presence["round_change"] == all_but_the_dead
    assert second.presence["prepare"] == all_but_the_dead
    assert second.presence["pre_prepare"].count("*") == 1


@pytest.mark.parametrize("watcher", range(4))
def test_good_duty_is_one_round_from_everybodys_place(watcher: int) -> None:
    played = play(dead=None, watcher=watcher)
    (only,) = played.story.rounds
    assert played.story.decided_value == hash_value(played.value).hex()
    assert (only.round, only.lacked) == (1, "")
    assert only.presence["commit"].count("*") >= 3
    assert played.story.unexplained == ()


def test_dump_survives_its_file() -> None:
    dump = play(dead=FIRST, watcher=OTHERS[0]).dump
    assert decode_dump(encode_dump(dump)) == dump


def test_votes_of_the_node_that_nothing_entitles_it_to_are_unexplained() -> None:
    dump = play(dead=None, watcher=OTHERS[0]).dump
    sent_only = replace_entries(dump, [entry for entry in dump.entries if entry.sent])
    (story,) = replay(sent_only)
    assert story.decided_value is None
    assert "prepare round=1" in story.unexplained


def test_votes_that_waited_for_the_disk_are_no_contradiction() -> None:
    dump = play(dead=None, watcher=OTHERS[0]).dump
    heard_first = sorted(dump.entries, key=lambda entry: entry.sent)
    (story,) = replay(replace_entries(dump, heard_first))
    assert story.decided_round == 1
    assert story.unexplained == ()


def test_vote_against_the_decision_is_unexplained_however_late() -> None:
    watcher = OTHERS[0]
    dump = play(dead=None, watcher=watcher).dump
    codec = Cluster().codec(watcher)
    other = Message(MessageType.COMMIT, DUTY, watcher, 1, ValueHash(b"x" * 32))
    lie = Entry(dump.entries[-1].at_s, True, None, codec.encode([Envelope(codec.sign(other))]))
    (story,) = replay(replace_entries(dump, [*dump.entries, lie]))
    assert story.unexplained == ("commit round=1",)


def test_message_that_a_peer_relays_is_shown_and_not_taken() -> None:
    dump = play(dead=None, watcher=OTHERS[0]).dump
    turned = [
        entry if entry.sent else Entry(entry.at_s, entry.sent, FIRST, entry.payload)
        for entry in dump.entries
    ]
    (story,) = replay(replace_entries(dump, turned))
    assert {line.fault for line in story.lines} == {"", "relayed"}
    assert story.decided_value is None


def replace_entries(dump: Dump, entries: list[Entry]) -> Dump:
    return decode_dump(
        encode_dump(
            Dump(
                format=dump.format,
                cluster_hash=dump.cluster_hash,
                node_count=dump.node_count,
                own_index=dump.own_index,
                dropped=dump.dropped,
                entries=tuple(entries),
            )
        )
    )


def test_garbage_in_a_dump_is_left_out() -> None:
    dump = play(dead=None, watcher=OTHERS[0]).dump
    garbage = Entry(0.0, False, 2, b"garbage")
    assert replay(replace_entries(dump, [garbage, *dump.entries])) == replay(dump)


class RecordedWorld(QbftWorld):
    """A simulated cluster under faults, each node's bus recorded."""

    def __init__(self, *arguments: Any, **rest: Any) -> None:
        super().__init__(*arguments, **rest)
        self.dumps: dict[int, MessageDump] = {}
        self.decided: dict[tuple[int, int, str], str] = {}  # node, slot, type: value

    def _component(self, node: int, bus: MessageBus, votes: MemoryVoteLog) -> Consensus:
        dump = MessageDump(cluster_hash="", node_count=self.profile.node_count, own_index=node)
        self.dumps[node] = dump
        clock = SimClock(asyncio.get_running_loop())
        component = super()._component(node, RecordingBus(bus, dump, clock), votes)

        async def note(decided: Decided) -> None:
            key = (node, decided.duty.slot, decided.duty.type.name.lower())
            self.decided[key] = hash_value(decided.value).hex()

        component.decided.subscribe(note)
        return component


def test_replays_of_simulated_clusters_under_faults_agree_with_them() -> None:
    """Lost, late and repeated messages, liars, slow disks, wrong clocks, many rounds."""
    compared, rounds_max = 0, 0
    for seed in range(40):
        profile = draw(seed)
        if profile.crashes:  # what a node said before a crash is not in the dump after it
            continue
        world_of: list[RecordedWorld] = []

        async def scenario(seed: int = seed, found: list[RecordedWorld] = world_of) -> None:
            world = RecordedWorld(draw(seed), seed=seed, trace=Trace())
            found.append(world)
            await world.run()

        simulate(scenario, seed=seed)
        (world,) = world_of
        for node in world.honest:
            for story in replay(world.dumps[node].snapshot()):
                key = (node, story.slot, story.type)
                if key in world.decided:
                    compared += 1
                    rounds_max = max(rounds_max, len(story.rounds))
                    assert story.decided_value == world.decided[key], (seed, key)
                assert story.unexplained == (), (seed, key)
    assert compared > 40
    assert rounds_max > 3
