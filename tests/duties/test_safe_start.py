"""Goal: a node signs nothing slashable before enough peers answered, and nothing that they saw.

Method: four nodes' answers over a simulated network. Node 0 is under test, on real BLS shares; its
peers remember what share 1 signed, or lie about it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

import pytest
from tests.duties.duty_world import (
    CHAIN,
    Bus,
    InlineCompute,
    RecordingLog,
    Validators,
    database,
    spoilt,
)
from tests.duties.test_highest_signed import forget_before

from tetrarch.consensus.messages import MessageType, ValueHash
from tetrarch.consensus.votes import MemoryVoteLog, SilenceKept, Vote
from tetrarch.duties import parsig_rows
from tetrarch.duties.doppelganger import AnotherInstanceRuns
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.held import HeldSigning, SilentVotes
from tetrarch.duties.parsig_rows import Status
from tetrarch.duties.partials_codec import encode_partials
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.ports import OwnHistory
from tetrarch.duties.safe_start import (
    Recall,
    SafeStart,
    Surroundings,
    VoteWatch,
    nothing_said,
)
from tetrarch.duties.slashing import GroupHistory, SlashableData
from tetrarch.duties.twins import STATE_KEPT_S
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    Payload,
    PubKey,
    RandaoPayload,
    ShareIndex,
    SyncMessagePayload,
)
from tetrarch.duties.witnesses import VERSION, OwnState, PeerState, Witnesses
from tetrarch.enclave import restored
from tetrarch.enclave.errors import FolderRestored
from tetrarch.enclave.ports import Approved
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.sim.network import Faults, SimNetwork
from tetrarch.sim.trace import Trace
from tetrarch.storage.errors import StorageFull

VALIDATORS = Validators(2)
NOW_SLOT = 42
SEEN = VALIDATORS.partials(1, 33)  # what peers saw share 1 sign: epoch 4
RANDAO = RandaoPayload(epoch=5)


def vote_of(slot: int) -> AttestationPayload:
    payload = VALIDATORS.partials(1, slot).partials[0].payload
    assert isinstance(payload, AttestationPayload)
    return payload


class Signing:
    def __init__(self) -> None:
        self.signed: list[Payload] = []

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        self.signed += [payload for _, payload in requests]
        return tuple(Approved(b"s" * 96) for _ in requests)


class World:
    """Node 0 and three peers. ``peers`` are those that answer truly."""

    def __init__(
        self,
        *,
        peers: tuple[int, ...] = (1, 2, 3),
        trusts: bool = False,
        accepts: bool = False,
        held: tuple[int, ...] = (),
        vote_watch: VoteWatch | None = None,
        recall: Recall = nothing_said,
        histories: tuple[OwnHistory, ...] = (),
    ) -> None:
        self.recall = recall
        self.histories = histories
        self.accepts = accepts
        loop = asyncio.get_running_loop()
        self.network = SimNetwork(
            node_count=4, faults=Faults(), rng=Random(1), trace=Trace(), messages_max=99_999
        )
        self.clock = SimClock(loop, offset_s=CHAIN.slot_duration_ms / 1000 * NOW_SLOT)
        self.log = RecordingLog()
        self.buses = {node: self.network.bus(node) for node in range(4)}
        self.requests = {
            node: Requests(bus, entropy=Random(node).randbytes, log=self.log)
            for node, bus in self.buses.items()
        }
        self.storages = {node: database() for node in range(4)}
        self.group = GroupHistory(storage=self.storages[0], chain=CHAIN)
        self.older_twin: dict[int, bool] = {}  # what a peer says of node 0
        for peer in peers:
            self.witness(peer, held=peer in held)
        self.safe = self.build(trusts=trusts, vote_watch=vote_watch)
        self.signing = Signing()
        self.service = HeldSigning(self.signing, self.safe)

    def witness(self, node: int, *, held: bool = False) -> Witnesses:
        return Witnesses(
            requests=self.requests[node],
            storage=self.storages[node],
            keys=VALIDATORS.keys,
            chain=CHAIN,
            own=OwnState(
                held=lambda: held,
                first_epoch=1,
                twin_of=lambda _peer, _instance: self.older_twin.get(node),
            ),
        )

    def build(self, *, trusts: bool = False, vote_watch: VoteWatch | None = None) -> SafeStart:
        return SafeStart(
            Surroundings(
                witnesses=self.witness(0),
                histories=(self.group, *self.histories),
                storage=self.storages[0],
                keys=VALIDATORS.keys,
                chain=CHAIN,
                crypto=BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy),
                compute=InlineCompute(),
                clock=self.clock,
                log=self.log,
                recall=self.recall,
                trusts_own_history=trusts,
                accepts_rollback_risk=self.accepts,
                vote_watch=vote_watch,
            )
        )

    async def saw(self, peer: int, partial_set: PartialSet) -> None:
        await self.storages[peer].write(
            lambda c: parsig_rows.insert(c, partial_set, Status.BROADCASTED, now_s=1)
        )

    def lie(self, peer: int, answer: Callable[[bytes], bytes | None]) -> None:
        async def answerer(_asker: int, body: bytes) -> bytes | None:
            return answer(body)

        self.requests[peer].serve(Subject.HIGHEST_SIGNED, answerer)

    async def sign(self, payload: Payload, *, within_s: float = 30) -> Approved | str | None:
        """The answer, or None while the node is held."""
        try:
            async with asyncio.timeout(within_s):
                (answer,) = await self.service.sign(((VALIDATORS.pubkeys[0], payload),))
        except TimeoutError:
            return None
        return answer


def play(scenario: Callable[[World], Awaitable[None]], **options: object) -> None:
    async def main() -> None:
        world = World(**options)  # type: ignore[arg-type]  # a test's own keywords
        await world.safe.load()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(bus.run()) for bus in world.buses.values()]
            running.append(tasks.create_task(world.safe.run()))
            await scenario(world)
            for task in running:
                task.cancel()

    simulate(main, seed="safe")


def play_restored(scenario: Callable[[World], Awaitable[None]], **options: object) -> World:
    """As ``play``, in a folder that was made from a backup."""

    async def main() -> World:
        world = World(**options)  # type: ignore[arg-type]  # a test's own keywords
        await world.storages[0].write(restored.mark)
        await world.safe.load()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(bus.run()) for bus in world.buses.values()]
            running.append(tasks.create_task(world.safe.run()))
            await scenario(world)
            for task in running:
                task.cancel()
        return world

    return simulate(main, seed="safe")


def said(*sets: PartialSet, flags: int = 0) -> bytes:
    parts = [bytes([VERSION, flags]), (1).to_bytes(8)]
    for each in sets:
        encoded = encode_partials(each, answer=True)
        parts += [len(encoded).to_bytes(4), encoded]
    return b"".join(parts)


def test_a_new_cluster_is_released_as_soon_as_enough_peers_answer() -> None:
    async def scenario(world: World) -> None:
        assert isinstance(await world.sign(vote_of(NOW_SLOT)), Approved)
        assert world.safe.reasons() == ()
        assert not world.safe.found_old

    play(scenario, peers=(1, 3))


def test_one_answer_is_not_enough_and_the_reason_says_so() -> None:
    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(NOW_SLOT), within_s=60) is None
        assert world.signing.signed == []
        assert world.safe.held_reason() == (
            "1 of 2 needed peers have said what this node's share has signed"
        )
        assert isinstance(await world.sign(RANDAO), Approved)  # nobody is slashed for it

    play(scenario, peers=(2,))


def test_sync_message_waits_like_a_vote_for_another_process_may_sign_another() -> None:
    async def scenario(world: World) -> None:
        later = SyncMessagePayload(slot=NOW_SLOT + 9, beacon_block_root=bytes(32))
        assert await world.sign(later, within_s=5) is None
        assert isinstance(await world.sign(RANDAO, within_s=5), Approved)
        world.witness(1)
        world.witness(2)
        assert isinstance(await world.sign(later), Approved)

    play(scenario, peers=())


def test_a_peer_that_comes_later_releases_the_node() -> None:
    async def scenario(world: World) -> None:
        waiting = asyncio.ensure_future(world.sign(vote_of(NOW_SLOT), within_s=120))
        await asyncio.sleep(20)
        assert not waiting.done()
        world.witness(3)
        assert isinstance(await waiting, Approved)

    play(scenario, peers=(1,))


def test_an_old_folder_signs_nothing_that_a_peer_saw_and_goes_on_above() -> None:
    async def scenario(world: World) -> None:
        await world.saw(2, SEEN)
        assert await world.sign(vote_of(33)) == "denied: restored_folder"
        assert world.safe.found_old
        assert "older" in str(world.safe.reasons())
        assert [fields["highest_slot"] for fields in world.log.find("folder_is_old")] == [33]
        with pytest.raises(SlashableData):
            await world.storages[0].write(
                lambda c: world.group.guard(c, VALIDATORS.unsigned(34, head=b"x" * 32))
            )
        await world.storages[0].write(lambda c: world.group.guard(c, VALIDATORS.unsigned(50)))
        assert isinstance(await world.sign(vote_of(50)), Approved)

    play(scenario)


def sync_message(slot: int, head: bytes = b"h" * 32) -> PartialSet:
    payload = SyncMessagePayload(slot=slot, beacon_block_root=head)
    root = signing_root(payload, CHAIN)
    pubkey = VALIDATORS.pubkeys[0]
    signature = VALIDATORS.shares[pubkey][1].sign(root)
    partial = PartialSignature(
        pubkey=pubkey, share_index=ShareIndex(1), payload=payload, signature=signature
    )
    return PartialSet(duty=Duty(slot, DutyType.SYNC_MESSAGE), partials=(partial,))


def test_folder_that_forgot_only_a_sync_message_is_old_too() -> None:
    """It is not slashable, but signed anew it would look like a lie: simulator seed 101314."""
    seen = sync_message(NOW_SLOT - 1)

    async def scenario(world: World) -> None:
        await world.saw(3, seen)
        answer = await world.sign(sync_message(NOW_SLOT - 1, b"o" * 32).partials[0].payload)
        assert answer == "denied: restored_folder"
        assert world.safe.found_old
        (fields,) = world.log.find("folder_is_old")
        assert fields["highest_slot"] == NOW_SLOT - 1
        later = await world.sign(sync_message(NOW_SLOT + 9).partials[0].payload)
        assert isinstance(later, Approved)

    play(scenario)


@pytest.mark.parametrize(
    ("own_slot", "told_slot"),
    [
        (NOW_SLOT - 1, NOW_SLOT - 1),
        (NOW_SLOT - 1, NOW_SLOT - 3),  # an older one of a peer that was away
        (None, NOW_SLOT - CHAIN.slots_per_epoch),  # may be deleted here, and is over
    ],
)
def test_sync_message_that_is_known_or_long_over_calls_no_folder_old(
    own_slot: int | None, told_slot: int
) -> None:
    async def scenario(world: World) -> None:
        await world.saw(3, sync_message(told_slot))
        if own_slot is not None:
            await world.saw(0, sync_message(own_slot))
        await world.sign(vote_of(NOW_SLOT + 1))
        assert not world.safe.held
        assert not world.safe.found_old

    play(scenario)


def test_invented_sync_message_is_no_evidence() -> None:
    stranger = sync_message(NOW_SLOT - 1).partials[0]
    false = replace(stranger, signature=VALIDATORS.shares[VALIDATORS.pubkeys[0]][2].sign(b"r" * 32))

    async def scenario(world: World) -> None:
        await world.saw(3, replace(sync_message(NOW_SLOT - 1), partials=(false,)))
        await world.sign(vote_of(NOW_SLOT + 1))
        assert not world.safe.found_old
        assert [fields["peer"] for fields in world.log.find("testimony_false")] == [3]

    play(scenario)


def test_folder_that_forgot_only_its_words_is_old_too() -> None:
    """It signed nothing since its backup, but spoke in consensus: simulator seed 201."""
    forgotten = Duty(NOW_SLOT - 1, DutyType.ATTESTER)

    async def recall(peer: int) -> tuple[Duty, ...]:
        return (forgotten,) if peer > 1 else ()

    async def scenario(world: World) -> None:
        await world.sign(vote_of(NOW_SLOT))
        assert world.safe.found_old
        (fields,) = world.log.find("folder_forgot_votes")
        assert fields["duties"] == [str(forgotten)]
        assert world.safe.is_silent_in(forgotten)
        assert not world.safe.is_silent_in(Duty(NOW_SLOT + 9, DutyType.ATTESTER))
        assert len(world.log.find("folder_forgot_votes")) == 1, "others say the same"
        (row,) = await world.storages[0].read(
            lambda c: c.execute("SELECT silent_to_slot FROM safe_start").fetchone()
        )
        assert row >= NOW_SLOT, "durable"

    play(scenario, recall=recall)


def test_peer_that_cannot_be_asked_for_our_words_has_not_answered() -> None:
    async def recall(peer: int) -> tuple[Duty, ...]:
        raise PeerSilent("ask peer", peer=peer)

    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(NOW_SLOT), within_s=60) is None

    play(scenario, recall=recall)


def test_what_left_a_peers_partials_long_ago_is_still_told() -> None:
    async def scenario(world: World) -> None:
        await world.saw(2, SEEN)
        await forget_before(world.storages[2], 99)
        await world.sign(vote_of(33))
        assert world.safe.found_old

    play(scenario)


def test_an_intact_folder_is_not_called_old() -> None:
    async def scenario(world: World) -> None:
        await world.sign(vote_of(NOW_SLOT))
        assert not world.safe.found_old
        assert world.safe.refusal(vote_of(33)) is None

    async def main(world: World) -> None:
        for peer in (1, 2, 3):
            await world.saw(peer, SEEN)
        await world.storages[0].write(lambda c: world.group.guard(c, VALIDATORS.unsigned(33)))
        await scenario(world)

    play(main)


def test_the_highest_of_all_answers_counts_and_not_the_first_or_the_lowest() -> None:
    async def scenario(world: World) -> None:
        await world.saw(1, VALIDATORS.partials(1, 9))
        await world.saw(3, SEEN)
        await world.sign(vote_of(NOW_SLOT))
        await asyncio.sleep(30)
        wish = ((VALIDATORS.pubkeys[0], vote_of(33)),)
        assert await world.group.forgotten(wish) == ()

    play(scenario)


def test_a_liar_cannot_invent_a_signature_that_silences_the_node() -> None:
    async def scenario(world: World) -> None:
        far = VALIDATORS.partials(1, 700)
        world.lie(3, lambda _: said(spoilt(far, SEEN)))
        assert isinstance(await world.sign(vote_of(NOW_SLOT)), Approved)
        assert not world.safe.found_old
        assert world.log.find("testimony_false")

    play(scenario, peers=(1, 2))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\1",
        bytes([9]) + bytes(9),
        said(SEEN)[:-1],
        said() + b"\0\0",
        said() + (2).to_bytes(4) + b"xx",
        said(replace(SEEN, duty=Duty(34, DutyType.ATTESTER))),
        said(replace(SEEN, duty=Duty(33, DutyType.RANDAO))),
        said(Validators(3).partials(1, 33)),
        said(flags=1),
    ],
    ids=range(10),
)
def test_a_malformed_answer_does_not_count(answer: bytes) -> None:
    async def scenario(world: World) -> None:
        world.lie(3, lambda _: answer)
        assert await world.sign(vote_of(NOW_SLOT)) is None
        assert {fields["code"] for fields in world.log.find("testimony_refused")} == {
            "testimony_invalid"
        }

    play(scenario, peers=(1,))


def test_evidence_that_the_disk_has_no_room_for_does_not_count_yet() -> None:
    async def scenario(world: World) -> None:
        for peer in (1, 2, 3):
            await world.saw(peer, SEEN)
        world.storages[0].full = True
        assert await world.sign(vote_of(50)) is None
        world.storages[0].full = False
        assert isinstance(await world.sign(vote_of(50)), Approved)
        assert world.safe.found_old

    play(scenario)


def test_an_old_folder_stays_silent_over_restarts_about_what_it_may_have_said() -> None:
    async def scenario(world: World) -> None:
        await world.saw(2, SEEN)
        await world.sign(vote_of(33))
        world.requests[0] = Requests(Bus(), entropy=bytes, log=world.log)
        again = world.build(trusts=True)
        await again.load()
        assert again.refusal(vote_of(NOW_SLOT)) == "denied: restored_folder"
        assert again.refusal(vote_of(NOW_SLOT + 2)) is None

    play(scenario)


def vote_in(slot: int) -> Vote:
    return Vote(
        duty=Duty(slot, DutyType.ATTESTER),
        round=1,
        type=MessageType.PREPARE,
        value_hash=ValueHash(bytes(32)),
        content=b"",
    )


def test_an_old_folder_says_nothing_in_consensus_about_duties_of_its_former_life() -> None:
    async def scenario(world: World) -> None:
        await world.saw(2, SEEN)
        votes = SilentVotes(MemoryVoteLog(), world.safe)
        with pytest.raises(SilenceKept, match="restored_folder"):
            await votes.record((vote_in(NOW_SLOT),))
        later = (vote_in(NOW_SLOT + 2),)
        assert await votes.record(later) == later

    play(scenario)


def test_consensus_of_new_duties_does_not_wait_and_of_open_ones_does() -> None:
    async def scenario(world: World) -> None:
        votes = SilentVotes(MemoryVoteLog(), world.safe)
        later = (vote_in(NOW_SLOT + 2),)
        assert await votes.record(later) == later
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await votes.record((vote_in(NOW_SLOT),))

    play(scenario, peers=())


def test_who_trusts_its_own_history_is_warned_and_signs() -> None:
    async def scenario(world: World) -> None:
        assert isinstance(await world.sign(vote_of(NOW_SLOT)), Approved)
        (warning,) = world.log.find("own_history_trusted")
        assert "slashable" in str(warning["risk"])

    play(scenario, peers=(), trusts=True)


def test_evidence_is_learned_by_every_history_that_lacks_it() -> None:
    """The enclave's database alone can be the old one."""

    class Second(OwnHistoryOfAnEnclave):
        learned: tuple[object, ...] = ()

        async def forgotten(self, signed: tuple[object, ...]) -> tuple[int, ...]:
            return tuple(range(len(signed))) if not self.learned else ()

        async def learn(self, signed: tuple[object, ...]) -> None:
            self.learned += signed

    second = Second()

    async def scenario(world: World) -> None:
        await world.storages[0].write(lambda c: world.group.guard(c, VALIDATORS.unsigned(33)))
        for peer in (1, 2, 3):
            await world.saw(peer, SEEN)
        await world.sign(vote_of(NOW_SLOT))
        assert len(second.learned) == len(VALIDATORS.pubkeys)
        assert world.safe.found_old

    play(scenario, histories=(second,))


# Two processes with one certificate


def test_the_newer_of_two_processes_stops_signing_and_the_older_goes_on() -> None:
    async def scenario(world: World) -> None:
        assert isinstance(await world.sign(vote_of(NOW_SLOT)), Approved)
        world.older_twin = {1: True}  # one may lie
        await asyncio.sleep(30)
        assert not world.safe.held
        world.older_twin = {1: False, 2: False}  # we are the older one
        await asyncio.sleep(30)
        assert not world.safe.held
        assert world.safe.reasons() == ("another process runs with this node's certificate",)
        world.older_twin = {1: True, 2: True}
        await asyncio.sleep(30)
        assert await world.sign(vote_of(NOW_SLOT + 1), within_s=1) is None
        assert "the older one" in str(world.safe.held_reason())
        assert "stop one of the two" in str(world.log.find("node_runs_twice"))
        world.older_twin = {}
        assert isinstance(await world.sign(vote_of(NOW_SLOT + 1)), Approved)

    play(scenario)


def test_copy_that_its_peers_suspect_is_never_released() -> None:
    async def scenario(world: World) -> None:
        world.older_twin = {1: True, 2: True, 3: True}
        assert await world.sign(vote_of(NOW_SLOT), within_s=60) is None
        assert world.signing.signed == []
        assert world.log.find("released") == []
        assert "the older one" in str(world.safe.held_reason())

    play(scenario)


def test_newer_of_two_processes_is_not_released_by_peers_that_fall_silent() -> None:
    async def scenario(world: World) -> None:
        async def silent(_peer: int) -> PeerState:
            raise PeerSilent("ask peer")

        world.older_twin = {1: True, 2: True}
        await asyncio.sleep(30)
        setattr(world.safe._s.witnesses, "ask_state", silent)  # noqa: B010 - the checker guards it
        await asyncio.sleep(STATE_KEPT_S - 2 * 12)
        assert world.safe.held
        await asyncio.sleep(3 * 12)  # for ever would be too long: peers may have gone
        assert not world.safe.held

    play(scenario)


# Doppelganger detection

TWO_EPOCHS_S = 3 * 8 * 12.0  # the rest of this one included


async def nobody(_epoch: int) -> tuple[PubKey, ...]:
    return ()


async def somebody(_epoch: int) -> tuple[PubKey, ...]:
    return VALIDATORS.pubkeys


def test_watching_node_signs_after_two_whole_epochs_of_silence() -> None:
    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(NOW_SLOT), within_s=2 * 8 * 12) is None
        assert world.safe.held_reason() == "watching whether somebody else signs with these keys"
        assert isinstance(await world.sign(vote_of(70), within_s=TWO_EPOCHS_S), Approved)

    play(scenario, held=(1, 2, 3), vote_watch=nobody)


def stopped(scenario: Callable[[World], Awaitable[None]], **options: object) -> str:
    """Why the node under test stopped by itself."""
    with pytest.raises(ExceptionGroup) as raised:
        play(scenario, **options)
    (error,) = raised.value.exceptions
    assert isinstance(error, AnotherInstanceRuns)
    return str(error)


async def wait_long(world: World) -> None:
    await world.sign(vote_of(NOW_SLOT), within_s=2 * TWO_EPOCHS_S)


def test_validators_that_vote_while_the_whole_cluster_is_held_stop_the_node() -> None:
    reason = stopped(wait_long, held=(1, 2), vote_watch=somebody)
    assert "another_instance_runs" in reason
    assert "find the other program" in reason


def test_votes_that_the_other_nodes_can_have_signed_are_no_alarm() -> None:
    async def scenario(world: World) -> None:
        assert isinstance(await world.sign(vote_of(70), within_s=2 * TWO_EPOCHS_S), Approved)

    play(scenario, held=(1,), vote_watch=somebody)  # one may lie about being held


def test_our_share_signing_while_we_watch_is_another_instance_of_us() -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(60)
        await world.saw(2, VALIDATORS.partials(1, NOW_SLOT + 4))
        await wait_long(world)

    assert f"signed_slot={NOW_SLOT + 4}" in stopped(scenario, vote_watch=nobody)


def test_sync_message_of_our_share_is_another_instance_too() -> None:
    async def scenario(world: World) -> None:
        await asyncio.sleep(60)
        await world.saw(2, sync_message(NOW_SLOT + 4))
        await wait_long(world)

    assert f"signed_slot={NOW_SLOT + 4}" in stopped(scenario, vote_watch=nobody)


def test_without_detection_the_same_is_an_old_folder_at_most() -> None:
    async def scenario(world: World) -> None:
        await world.saw(2, VALIDATORS.partials(1, NOW_SLOT + 4))
        await world.sign(vote_of(70))
        assert world.safe.found_old

    play(scenario)


def test_a_beacon_node_that_does_not_tell_keeps_the_node_held() -> None:
    told: list[int] = []

    async def away(epoch: int) -> tuple[PubKey, ...]:
        told.append(epoch)
        if len(told) < 40:
            raise BeaconNodeUnreachable("ask liveness")
        return ()

    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(70), within_s=TWO_EPOCHS_S) is None
        assert world.log.find("liveness_unknown")
        assert isinstance(await world.sign(vote_of(70), within_s=4 * TWO_EPOCHS_S), Approved)

    play(scenario, held=(1, 2, 3), vote_watch=away)


class OwnHistoryOfAnEnclave:
    """Counts what it is told; its disk is full at first."""

    def __init__(self, *, full: int = 0, restored: bool = False) -> None:
        self.full = full
        self.restored = restored
        self.recovered = 0

    async def forgotten(self, signed: tuple[object, ...]) -> tuple[int, ...]:
        return ()

    async def learn(self, signed: tuple[object, ...]) -> None:
        pass

    async def is_restored(self) -> bool:
        return self.restored

    async def recover(self) -> None:
        if self.full:
            self.full -= 1
            raise StorageFull("recover")
        self.recovered += 1


async def is_marked(world: World) -> bool:
    return await world.storages[0].read(restored.is_marked)


def test_restored_folder_recovers_once_enough_peers_answered_and_is_silent_till_then() -> None:
    own = OwnHistoryOfAnEnclave()

    async def scenario(world: World) -> None:
        assert world.safe.found_old, "whatever the peers can prove"
        assert await world.sign(vote_of(NOW_SLOT)) == "denied: restored_folder"
        assert not await is_marked(world)
        assert own.recovered == 1
        assert isinstance(await world.sign(vote_of(NOW_SLOT + 9)), Approved)
        (fields,) = world.log.find("folder_recovered")
        assert len(fields["answered"]) >= 2

    play_restored(scenario, peers=(1, 3), histories=(own,))


def test_mark_of_the_enclave_alone_counts_too() -> None:
    """The node recovered while a validator client signed; now its own enclave does."""
    own = OwnHistoryOfAnEnclave(restored=True)

    async def scenario(world: World) -> None:
        assert world.safe.found_old
        assert isinstance(await world.sign(vote_of(NOW_SLOT + 9)), Approved)
        assert own.recovered == 1

    play(scenario, histories=(own,))


def test_restored_folder_without_enough_peers_stays_marked_and_signs_nothing() -> None:
    own = OwnHistoryOfAnEnclave()

    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(NOW_SLOT + 9), within_s=120) is None
        assert await is_marked(world)
        assert own.recovered == 0

    play_restored(scenario, peers=(2,), histories=(own,))


def test_recovery_that_could_not_be_stored_holds_the_node_until_it_is() -> None:
    own = OwnHistoryOfAnEnclave(full=5)

    async def scenario(world: World) -> None:
        assert await world.sign(vote_of(NOW_SLOT + 9), within_s=1.5) is None
        assert await is_marked(world), "the node's own mark goes last"
        assert "could not be stored" in str(world.safe.held_reason())
        assert isinstance(await world.sign(vote_of(NOW_SLOT + 9), within_s=60), Approved)
        assert own.recovered == 1
        assert not await is_marked(world)

    play_restored(scenario, histories=(own,))


def test_restored_folder_is_not_trusted_unless_the_risk_is_accepted_by_name() -> None:
    async def nothing(_world: World) -> None:
        pytest.fail("it was loaded")

    with pytest.raises(FolderRestored, match="--accept-rollback-risk"):
        play_restored(nothing, trusts=True)
    own = OwnHistoryOfAnEnclave(full=1)

    async def scenario(world: World) -> None:
        assert isinstance(await world.sign(vote_of(NOW_SLOT + 9)), Approved)
        assert own.recovered == 1
        assert not await is_marked(world)

    play_restored(scenario, trusts=True, accepts=True, peers=(), histories=(own,))
