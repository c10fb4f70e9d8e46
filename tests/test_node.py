"""One whole node between a scripted beacon node and a scripted bus: what survives what.

Consensus between several nodes, with faults, is the simulator's matter (``tests/sim``).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.duties.duty_world import (
    CHAIN,
    Bus,
    InlineCompute,
    RecordingLog,
    ScriptedBeaconNode,
    Validators,
    database,
    sleep_until,
    spoilt,
)
from tests.duties.lasting_world import registration, registration_set

from tetrarch.consensus.ports import SilentObserver
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.dutydb import RECENT_MAX, DutyDB
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.report import DutyReport, Standing
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.retry import REFUSALS_MAX
from tetrarch.duties.types import Duty, DutyType, PartialSet, Payload, PubKey, ShareIndex
from tetrarch.enclave.ports import Approved
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import ProposerPreparation
from tetrarch.network.flood import MESSAGES_MAX
from tetrarch.network.ports import Topic
from tetrarch.node import Node
from tetrarch.node_ports import NodePorts, NodeShape
from tetrarch.sim.identities import ModelIdentity
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.storage.inline import InlineDatabase
from tetrarch.supervision import Supervisor

VALIDATORS = Validators(2)
SLOT = 9
DUTY = Duty(SLOT, DutyType.ATTESTER)


class OwnShares:
    """Signs with share 1 and remembers nothing: the node must be right by itself."""

    def __init__(self) -> None:
        self.signed: list[Payload] = []

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        self.signed += [payload for _, payload in requests]
        return tuple(
            Approved(VALIDATORS.shares[pubkey][1].sign(signing_root(payload, CHAIN)))
            for pubkey, payload in requests
        )


class World:
    """One node's surroundings, which outlive its lives."""

    def __init__(self) -> None:
        self.clock = SimClock(asyncio.get_running_loop(), offset_s=12.0 * SLOT + 5)
        self.storage: InlineDatabase = database()
        self.beacon_node = ScriptedBeaconNode(VALIDATORS.pubkeys)
        self.signing = OwnShares()
        self.log = RecordingLog()
        self.reports: list[DutyReport] = []
        self.bus = Bus()

    async def live(self, scenario: Callable[["World"], Awaitable[None]]) -> None:
        """One life of the node, from load to crash, around ``scenario``."""
        self.bus = Bus()
        async with Supervisor(self.log) as tasks:
            node = Node(
                NodeShape(
                    chain=CHAIN,
                    keys=VALIDATORS.keys,
                    cluster_id=b"c" * 32,
                    trusts_own_history=True,  # the scripted bus has no peers that answer
                ),
                NodePorts(
                    beacon_node=self.beacon_node,  # type: ignore[arg-type]  # what a node calls
                    bus=self.bus,
                    storage=self.storage,
                    identity=ModelIdentity(seed=1, own_index=0),
                    clock=self.clock,
                    compute=InlineCompute(),
                    crypto=BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy),
                    entropy=bytes,
                    spawner=tasks,
                    observer=SilentObserver(),
                    log=self.log,
                    looks_on_chain=False,
                    on_report=self.reports.append,
                ),
                signing=self.signing,
            )
            await node.load()
            node.start()
            await asyncio.sleep(0.1)
            await scenario(self)
            tasks.stop()
        self.storage = self.storage.reopen()

    async def decide(self, slot: int = SLOT) -> None:
        """As if consensus had decided, and the node had died before it signed."""
        db = DutyDB(storage=self.storage, preset="minimal")
        await db.store(VALIDATORS.unsigned(slot))

    async def hear(self, peer: int, partial_set: PartialSet) -> None:
        payload = encode_partials(partial_set, answer=False)
        await self.bus.deliver(peer, Topic.PARTIAL_SIGNATURES, payload)
        await asyncio.sleep(0.1)

    def sent_partials(self) -> list[PartialSet]:
        return [
            decode_partials(payload, share_index=ShareIndex(1))[0]
            for _, topic, payload in self.bus.sent
            if topic == Topic.PARTIAL_SIGNATURES
        ]

    @property
    def submissions(self) -> list[Any]:
        return self.beacon_node.called("submit_attestations")


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    simulate(main, seed="node")


async def peers_sign(world: World) -> None:
    await world.hear(1, VALIDATORS.partials(2))
    await world.hear(2, VALIDATORS.partials(3))


def test_decision_of_a_former_life_is_signed_exchanged_combined_and_submitted() -> None:
    async def scenario(world: World) -> None:
        await world.decide()
        await world.live(peers_sign)
        assert world.sent_partials() == [VALIDATORS.partials(1)]
        ((_, submissions),) = world.submissions
        assert [each.validator_index for each in submissions] == [100, 101]

    play(scenario)


def test_beacon_node_is_told_whom_blocks_pay_by_what_the_group_has_registered() -> None:
    pubkey = VALIDATORS.pubkeys[1]

    async def scenario(world: World) -> None:
        signed = registration_set(registration(pubkey, pays=7))
        await AggSigDB(storage=world.storage).store(signed)
        await world.live(_sleep_an_epoch)
        told = [each for (each,) in world.beacon_node.called("prepare_beacon_proposer")]
        expected = ProposerPreparation(validator_index=101, fee_recipient=bytes([7]) * 20)
        assert len(told) > 1
        assert set(told) == {(expected,)}

    async def _sleep_an_epoch(_: World) -> None:
        await asyncio.sleep(CHAIN.slots_per_epoch * CHAIN.slot_duration_ms / 1000)

    play(scenario)


def test_what_was_signed_is_not_signed_again_in_the_next_life() -> None:
    async def scenario(world: World) -> None:
        async def nothing(_: World) -> None:
            return

        await world.decide()
        await world.live(nothing)
        signed = len(world.signing.signed)
        assert signed == 2
        await world.live(peers_sign)
        assert len(world.signing.signed) == signed
        assert len(world.submissions) == 1

    play(scenario)


def test_restart_with_more_open_decisions_than_memory_holds() -> None:
    async def scenario(world: World) -> None:
        for slot in range(SLOT, SLOT + RECENT_MAX + 8):
            await world.decide(slot)

        async def nothing(_: World) -> None:
            return

        await world.live(nothing)
        assert VALIDATORS.partials(1) in world.sent_partials()

    play(scenario)


def test_full_disk_from_first_to_last_step_stops_nothing_and_heals() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def full(world: World) -> None:
            world.storage.full = True
            false = spoilt(VALIDATORS.partials(4), VALIDATORS.partials(3))
            await peers_sign(world)
            await world.hear(3, false)
            await asyncio.sleep(30)
            assert world.submissions == []
            world.storage.full = False
            await asyncio.sleep(30)
            assert len(world.submissions) == 1

        world.storage.full = True
        await world.live(full)

    play(scenario)


def test_full_disk_at_the_deadlines_of_duties_stops_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def full(world: World) -> None:
            await world.hear(1, VALIDATORS.partials(2))
            world.storage.full = True
            await sleep_until(SLOT + 12, world.clock)
            reports = [(r.slot, r.type) for r in world.reports if r.type != "info_sync"]
            assert reports == [(SLOT, "attester")]
            world.storage.full = False
            await sleep_until(SLOT + 14, world.clock)

        await world.live(full)

    play(scenario)


def test_false_partials_before_and_after_the_threshold_are_survived() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def attacked(world: World) -> None:
            await world.hear(3, spoilt(VALIDATORS.partials(4), VALIDATORS.partials(3)))
            await peers_sign(world)
            await world.hear(3, VALIDATORS.partials(4))

        await world.live(attacked)
        assert len(world.submissions) == 1
        assert {line["share_index"] for line in world.log.find("false_partials")} == {4}

    play(scenario)


def test_late_false_partial_with_a_full_disk_stops_nothing() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def attacked(world: World) -> None:
            await peers_sign(world)
            assert len(world.submissions) == 1
            world.storage.full = True
            await world.hear(3, spoilt(VALIDATORS.partials(4), VALIDATORS.partials(3)))
            await asyncio.sleep(5)
            world.storage.full = False
            await asyncio.sleep(5)

        await world.live(attacked)
        assert {line["share_index"] for line in world.log.find("false_partials")} == {4}

    play(scenario)


async def nothing(_: World) -> None:
    return


async def expires(world: World) -> None:
    await sleep_until(SLOT + 10, world.clock)
    (report,) = (r for r in world.reports if r.slot == SLOT and r.type == "attester")
    assert report.outcome == "done"
    assert report.reason == ""


def test_what_the_beacon_node_took_is_not_submitted_in_the_next_life_and_counts_as_done() -> None:
    async def scenario(world: World) -> None:
        await world.decide()
        await world.live(peers_sign)
        assert len(world.submissions) == 1
        await world.live(expires)
        assert len(world.submissions) == 1

    play(scenario)


@pytest.mark.parametrize("status", [0, 400, 503])
def test_what_the_beacon_node_did_not_take_is_submitted_in_the_next_life(status: int) -> None:
    async def scenario(world: World) -> None:
        world.beacon_node.failing["submit_attestations"] = (
            BeaconNodeRefused("post", status=status, message="no")
            if status
            else BeaconNodeUnreachable("ask")
        )
        await world.decide()
        await world.live(peers_sign)
        world.beacon_node.failing.clear()
        tried = len(world.submissions)
        assert tried > 0
        await world.live(expires)
        assert len(world.submissions) == tried + 1

    play(scenario)


def test_submission_that_cannot_be_noted_is_noted_once_there_is_room() -> None:
    async def scenario(world: World) -> None:
        async def full(world: World) -> None:
            submit = world.beacon_node.submit_attestations

            async def taken(*args: Any) -> None:
                await submit(*args)
                world.storage.full = True

            world.beacon_node.submit_attestations = taken  # type: ignore[method-assign,assignment]
            await peers_sign(world)
            await asyncio.sleep(5)
            assert len(world.submissions) == 1, "not submitted anew for lack of room"
            world.storage.full = False
            await asyncio.sleep(10)

        await world.decide()
        await world.live(full)
        await world.live(nothing)
        assert len(world.submissions) == 1

    play(scenario)


def test_refused_submission_is_given_up_after_a_few_tries_with_the_reason() -> None:
    async def scenario(world: World) -> None:
        world.beacon_node.failing["submit_attestations"] = BeaconNodeRefused(
            "post", status=400, message="unknown head block"
        )
        await world.decide()

        async def refused(world: World) -> None:
            await peers_sign(world)
            await sleep_until(SLOT + 10, world.clock)

        await world.live(refused)
        assert len(world.submissions) == REFUSALS_MAX
        (line,) = [
            each for each in world.log.find("step_failed") if "info_sync" not in each["duty"]
        ]
        assert "unknown head block" in line["reason"]
        (report,) = (r for r in world.reports if r.slot == SLOT and r.type == "attester")
        assert (report.reason, report.outcome) == ("broadcast_bn_error", "failed")

    play(scenario)


@pytest.mark.parametrize("payload", [b"", b"\xff" * 100, bytes(1000)])
@pytest.mark.parametrize("topic", list(Topic)[:2])
def test_garbage_on_the_bus_stops_nothing(payload: bytes, topic: Topic) -> None:
    async def scenario(world: World) -> None:
        async def attacked(world: World) -> None:
            await world.bus.deliver(1, topic, payload)
            await asyncio.sleep(1)

        await world.live(attacked)

    play(scenario)


def test_beacon_node_that_is_away_stops_nothing_and_its_return_is_noticed() -> None:
    async def scenario(world: World) -> None:
        away = BeaconNodeUnreachable("ask")
        calls = ("validators", "attestation_data", "submit_attestations", "produce_block")
        world.beacon_node.failing = dict.fromkeys(calls, away)
        await world.decide()

        async def later(world: World) -> None:
            await peers_sign(world)
            await asyncio.sleep(20)
            assert world.submissions, "it tried"
            tried = len(world.submissions)
            world.beacon_node.failing.clear()
            await asyncio.sleep(30)
            assert len(world.submissions) == tried + 1
            (report,) = (r for r in await ended(world) if r.slot == SLOT and r.type == "attester")
            assert report.outcome == "done"

        await world.live(later)

    async def ended(world: World) -> list[DutyReport]:
        await sleep_until(SLOT + 10, world.clock)
        return world.reports

    play(scenario)


def test_hostile_peers_are_named_in_the_duty_s_record_which_outlives_the_node() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def attacked(world: World) -> None:
            await world.bus.deliver(1, Topic.PARTIAL_SIGNATURES, b"\xff")
            await world.bus.deliver(2, Topic.CONSENSUS, b"\xff")
            await world.hear(3, spoilt(VALIDATORS.partials(4), VALIDATORS.partials(1)))
            await world.hear(1, VALIDATORS.partials(2))
            await world.hear(1, spoilt(VALIDATORS.partials(2), VALIDATORS.partials(1)))
            await world.hear(2, VALIDATORS.partials(3))
            await sleep_until(SLOT + 10, world.clock)

        await world.live(attacked)
        (report,) = (r for r in world.reports if r.slot == SLOT and r.type == "attester")
        assert report.outcome == "done"
        assert {(fault.peer, fault.kind, fault.of_duty) for fault in report.faults} >= {
            (1, "partials_invalid", False),
            (1, "partial_equivocation", True),
            (2, "consensus_message_invalid", False),
            (3, "false_partial", True),
        }
        assert set(report.peers_that_are(Standing.BAD)) == {1, 3}
        stored = ReportStore(storage=world.storage, report_of=lambda _: None, log=world.log)
        assert await stored.find(DUTY) == report

    play(scenario)


def test_peer_that_floods_is_named_in_the_record_of_the_slot_s_duties() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def flooded(world: World) -> None:
            for _ in range(MESSAGES_MAX + 1):
                await world.bus.deliver(3, Topic.ANSWERS, b"well-formed or not")
            await peers_sign(world)
            await sleep_until(SLOT + 10, world.clock)

        await world.live(flooded)
        (report,) = (r for r in world.reports if r.slot == SLOT and r.type == "attester")
        assert report.outcome == "done"
        assert [(fault.peer, fault.kind) for fault in report.faults] == [(3, "flood: messages")]
        assert len(world.log.find("peer_floods")) == 1

    play(scenario)


def test_silent_peer_is_named_in_the_line_of_every_duty() -> None:
    async def scenario(world: World) -> None:
        await world.decide()

        async def one_is_off(world: World) -> None:
            await world.hear(1, VALIDATORS.partials(2))
            await world.hear(2, VALIDATORS.partials(3))
            await sleep_until(SLOT + 10, world.clock)

        await world.live(one_is_off)
        (line,) = (each for each in world.log.find("duty_ended") if each["duty"] == str(DUTY))
        assert line["missing"] == "node3"
        assert "late" not in line

    play(scenario)
