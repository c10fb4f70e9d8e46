"""The value check's verdicts, and what is done with facts that cannot be had in time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties import other_duties
from tests.duties.duty_world import (
    CHAIN,
    InlineCompute,
    RecordingLog,
    Validators,
    attestation_data,
    block,
    database,
    proposal_set,
    recorded,
    signed_randao,
)
from tests.duties.other_duties import (
    aggregate_and_proof,
    aggregates,
    aggregator_definitions,
    contributions,
    group_signature,
    sync_definitions,
)

from tetrarch.consensus.events import Verdict
from tetrarch.consensus.ports import Decided
from tetrarch.crypto.threshold import recover_secret
from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.agreement import DECODED_MAX, Agreement
from tetrarch.duties.codec import ValueInvalid, decode_unsigned, encode_unsigned
from tetrarch.duties.dutydb import DutyDB
from tetrarch.duties.errors import DutyNotFound, DutyNotResolved, DutyTrimmed
from tetrarch.duties.evidence import Sources
from tetrarch.duties.group_crypto import BlsGroupCrypto
from tetrarch.duties.info_sync import Ballot
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    PubKey,
    RandaoPayload,
    SelectionPayload,
    SignedData,
    SignedDataSet,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedDataSet,
)
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.spec.values import AttestationData
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS
from tetrarch.sim.loop import simulate

VALIDATORS = Validators(2)
PUBKEY = VALIDATORS.pubkeys[0]
PAYEE = bytes(20)  # of the world's blocks
DUTY = Duty(9, DutyType.ATTESTER)
PROPOSAL = Duty(9, DutyType.PROPOSER)
VALUE = encode_unsigned(VALIDATORS.unsigned())
OTHER_CHAIN = replace(
    attestation_data(9), target=replace(attestation_data(9).target, root=b"?" * 32)
)


class ConsensusLog:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def propose(self, duty: Duty, value: bytes) -> None:
        self.calls.append(("propose", duty, value))

    async def participate(self, duty: Duty) -> None:
        self.calls.append(("participate", duty))


class Ballots:
    def __init__(self) -> None:
        self.asked: list[tuple[Duty, bytes, int]] = []

    async def check(self, duty: Duty, value: bytes, round_: int) -> Verdict:
        self.asked.append((duty, value, round_))
        return Verdict.OK


class World:
    """An agreement whose sources answer from fields; a view may be an error or a delay."""

    def __init__(self) -> None:
        self.definitions: DefinitionSet | Exception = VALIDATORS.definitions()
        self.views: dict[bool, AttestationData | Exception | float] = {
            False: attestation_data(9, head=b"o" * 32),
            True: attestation_data(9, head=b"n" * 32),
        }
        self.asked: list[bool] = []
        self.history: str | None = None
        self.forbidden: set[bytes] = set()
        self.aggregated = AggSigDB(storage=database())
        self.decided = DutyDB(storage=database(), preset="minimal")
        self.log = RecordingLog()
        self.ballots = Ballots()
        self.known_features: tuple[str, ...] = (PLURAL_CONTRIBUTIONS,)
        self.sent_features: tuple[str, ...] = (PLURAL_CONTRIBUTIONS,)
        self.builder_api = False
        self.agreement = Agreement(
            sources=Sources(
                definitions=self,
                view=self.view,
                decided=self.decided,
                aggregated=self.aggregated,
                history=self,
                payees={PUBKEY: PAYEE},
                features=self,
            ),
            chain=CHAIN,
            compute=InlineCompute(),
            crypto=BlsGroupCrypto(keys=VALIDATORS.keys, entropy=system_entropy),
            complete_rounds=1,
            ballots=self.ballots,
            log=self.log,
        )
        self.consensus = ConsensusLog()
        self.agreement.use(self.consensus)

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        del duty
        if isinstance(self.definitions, Exception):
            raise self.definitions
        return self.definitions

    def takes(self, feature: str) -> bool:
        return feature in self.known_features

    def may_send(self, feature: str) -> bool:
        return feature in self.sent_features

    async def view(self, slot: int, *, fresh: bool = False) -> AttestationData:
        assert slot == 9
        self.asked.append(fresh)
        view = self.views[fresh]
        if isinstance(view, float):
            await asyncio.sleep(view)  # longer than anybody waits
            return attestation_data(9)
        if isinstance(view, Exception):
            raise view
        return view

    async def refusal(self, data_set: UnsignedDataSet) -> str | None:
        del data_set
        return self.history

    async def permitted(self, data_set: UnsignedDataSet) -> UnsignedDataSet | None:
        items = tuple(item for item in data_set.items if item.pubkey not in self.forbidden)
        return replace(data_set, items=items) if items else None

    @property
    def reasons(self) -> list[str]:
        return [line["reason"] for line in self.log.find("value_refused")]


def play(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(World())

    simulate(main, seed="agreement")


AWAY = BeaconNodeUnreachable("ask")


@pytest.mark.parametrize(
    ("first", "fresh", "verdict", "asked"),
    [
        (attestation_data(9, head=b"o" * 32), AWAY, Verdict.OK, [False]),
        (OTHER_CHAIN, attestation_data(9), Verdict.OK, [False, True]),
        (OTHER_CHAIN, OTHER_CHAIN, Verdict.REFUSED, [False, True]),
        (AWAY, attestation_data(9), Verdict.OK, [False]),
        (3600.0, attestation_data(9), Verdict.OK, [False]),
        (OTHER_CHAIN, AWAY, Verdict.REFUSED, [False, True]),
        (OTHER_CHAIN, 3600.0, Verdict.REFUSED, [False, True]),
    ],
    ids=[
        "same chain",
        "fresh view agrees",
        "other chain",
        "no view",
        "view too slow",
        "other chain and then away",
        "other chain and then too slow",
    ],
)
def test_verdict_on_attestations_follows_our_own_view(
    first: Any, fresh: Any, verdict: Verdict, asked: list[bool]
) -> None:
    async def scenario(world: World) -> None:
        world.views = {False: first, True: fresh}
        assert await world.agreement.check(DUTY, VALUE, 1) is verdict
        assert world.asked == asked

    play(scenario)


def test_validator_that_its_history_forbids_does_not_hold_up_the_others() -> None:
    async def scenario(world: World) -> None:
        data_set = VALIDATORS.unsigned()
        world.forbidden = {data_set.items[0].pubkey}
        await world.agreement.propose(data_set)
        ((kind, duty, value),) = world.consensus.calls
        assert (kind, duty) == ("propose", DUTY)
        proposed = decode_unsigned(value, preset="minimal")
        assert proposed.items == data_set.items[1:]
        assert world.log.find("not_proposed")[0]["validators"] == 1

    play(scenario)


@pytest.mark.parametrize(
    ("complete", "round_", "verdict"),
    [
        (True, 1, Verdict.OK),
        (False, 1, Verdict.UNKNOWN),
        (False, 2, Verdict.OK),
    ],
)
def test_set_that_leaves_validators_out_gets_no_vote_in_the_first_rounds(
    complete: bool, round_: int, verdict: Verdict
) -> None:
    async def scenario(world: World) -> None:
        data_set = VALIDATORS.unsigned()
        items = data_set.items if complete else data_set.items[:1]
        value = encode_unsigned(replace(data_set, items=items))
        assert await world.agreement.check(DUTY, value, round_) is verdict
        seen = world.log.find("value_incomplete")
        assert [line["validators"] for line in seen] == ([1] if verdict is Verdict.UNKNOWN else [])

    play(scenario)


def test_nothing_is_proposed_when_history_forbids_all() -> None:
    async def scenario(world: World) -> None:
        data_set = VALIDATORS.unsigned()
        world.forbidden = {item.pubkey for item in data_set.items}
        await world.agreement.propose(data_set)
        assert world.consensus.calls == []

    play(scenario)


def test_slashing_history_has_the_last_word() -> None:
    async def scenario(world: World) -> None:
        world.views = {False: AWAY, True: AWAY}
        world.history = "double_vote"
        assert await world.agreement.check(DUTY, VALUE, 1) is Verdict.REFUSED
        assert world.reasons == ["double_vote"]

    play(scenario)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (DutyNotResolved("look up"), Verdict.UNKNOWN),
        (DutyNotFound("look up"), Verdict.REFUSED),
        (DutyTrimmed("look up"), Verdict.UNKNOWN),
    ],
)
def test_own_schedule_decides_whether_it_is_a_duty_at_all(
    error: Exception, verdict: Verdict
) -> None:
    async def scenario(world: World) -> None:
        world.definitions = error
        assert await world.agreement.check(DUTY, VALUE, 1) is verdict
        assert world.asked == [], "no question to the beacon node"

    play(scenario)


@pytest.mark.parametrize(
    "value", [b"", b"\1", VALUE[:-1], VALUE + b"\0", b"\2" + VALUE[1:], bytes(200)]
)
def test_bytes_that_are_no_value_are_refused(value: bytes) -> None:
    async def scenario(world: World) -> None:
        assert await world.agreement.check(DUTY, value, 1) is Verdict.REFUSED

    play(scenario)


@pytest.mark.parametrize("duty", [Duty(10, DutyType.ATTESTER), PROPOSAL])
def test_value_for_another_duty_is_refused_before_any_question(duty: Duty) -> None:
    async def scenario(world: World) -> None:
        assert await world.agreement.check(duty, VALUE, 1) is Verdict.REFUSED
        assert world.reasons == ["value is for another duty"]
        assert world.asked == []

    play(scenario)


# --- blocks: the randao reveal -----------------------------------------------------------------


def reveal(pubkey: bytes = PUBKEY, *, epoch: int = 1) -> bytes:
    root = signing_root(RandaoPayload(epoch=epoch), CHAIN)
    shares = VALIDATORS.shares[pubkey]  # type: ignore[index]  # a root key
    return recover_secret(shares, threshold=3).sign(root)


def proposing(world: World, proposal: Any) -> bytes:
    definition = ProposerDefinition(pubkey=PUBKEY, slot=9, validator_index=100)
    world.definitions = DefinitionSet(duty=PROPOSAL, definitions=(definition,))
    return encode_unsigned(proposal_set(PUBKEY, proposal))


def test_block_with_a_valid_reveal_is_accepted_though_ours_is_missing() -> None:
    async def scenario(world: World) -> None:
        value = proposing(world, block(randao=reveal()))
        assert await world.agreement.check(PROPOSAL, value, 1) is Verdict.OK
        assert world.asked == []

    play(scenario)


@pytest.mark.parametrize("randao", [b"\xaa" * 96, bytes(96), reveal(epoch=2)])
def test_block_with_an_invalid_reveal_is_refused(randao: bytes) -> None:
    async def scenario(world: World) -> None:
        value = proposing(world, block(randao=randao))
        assert await world.agreement.check(PROPOSAL, value, 1) is Verdict.REFUSED

    play(scenario)


def test_block_must_carry_the_reveal_that_we_know() -> None:
    async def scenario(world: World) -> None:
        await world.aggregated.store(signed_randao(PUBKEY, signature=reveal()))
        right = proposing(world, block(randao=reveal()))
        assert await world.agreement.check(PROPOSAL, right, 1) is Verdict.OK
        wrong = proposing(world, block(randao=b"\xaa" * 96))
        assert await world.agreement.check(PROPOSAL, wrong, 1) is Verdict.REFUSED

    play(scenario)


@pytest.mark.parametrize("wrong", [{"pays": b"x" * 20}, {"blinded": True}])
def test_block_that_pays_somebody_else_is_refused(wrong: dict[str, Any]) -> None:
    async def scenario(world: World) -> None:
        value = proposing(world, block(randao=reveal(), **wrong))
        assert await world.agreement.check(PROPOSAL, value, 1) is Verdict.REFUSED

    play(scenario)


def test_block_by_a_key_that_is_no_key_is_refused_and_stops_nothing() -> None:
    async def scenario(world: World) -> None:
        proposing(world, block())
        value = encode_unsigned(proposal_set(b"\xff" * 48, block()))  # type: ignore[arg-type]  # no key
        assert await world.agreement.check(PROPOSAL, value, 1) is Verdict.REFUSED

    play(scenario)


# --- the way through ----------------------------------------------------------------------------


def test_what_was_proposed_comes_back_decided() -> None:
    async def scenario(world: World) -> None:
        decided = recorded(world.agreement.decided)
        decision = recorded(world.agreement.decision)
        await world.agreement.participate(VALIDATORS.definitions())
        await world.agreement.propose(VALIDATORS.unsigned())
        assert world.consensus.calls == [("participate", DUTY), ("propose", DUTY, VALUE)]
        outcome = Decided(duty=DUTY, value=VALUE, round=1, leader=0, started_s=0, decided_s=1)
        await world.agreement.on_decided(outcome)
        assert decided == [VALIDATORS.unsigned()]
        assert decision == [outcome]

    play(scenario)


def test_only_duties_with_a_value_are_agreed_on() -> None:
    async def scenario(world: World) -> None:
        randao = DefinitionSet(duty=Duty(9, DutyType.RANDAO), definitions=())
        await world.agreement.participate(randao)
        assert world.consensus.calls == []

    play(scenario)


def test_decided_rubbish_is_an_error_of_the_step_and_signs_nothing() -> None:
    async def scenario(world: World) -> None:
        decided = recorded(world.agreement.decided)
        outcome = Decided(duty=DUTY, value=b"?", round=1, leader=0, started_s=0, decided_s=1)
        with pytest.raises(ValueInvalid):
            await world.agreement.on_decided(outcome)
        assert decided == []

    play(scenario)


def test_decoded_values_are_bounded() -> None:
    async def scenario(world: World) -> None:
        for number in range(3 * DECODED_MAX):
            value = encode_unsigned(VALIDATORS.unsigned(head=number.to_bytes(32, "big")))
            await world.agreement.check(DUTY, value, 1)
        assert len(world.agreement._decoded) == DECODED_MAX

    play(scenario)


# --- aggregators ------------------------------------------------------------------------------

AGGREGATOR = Duty(9, DutyType.AGGREGATOR)
CONTRIBUTION = Duty(9, DutyType.SYNC_CONTRIBUTION)


async def prepared(world: World, *numbers: int) -> None:
    """These validators' selection proofs are made, and the slot's votes agreed."""
    world.definitions = aggregator_definitions()
    payload = SelectionPayload(slot=9)
    items = tuple(
        SignedData(
            pubkey=other_duties.VALIDATORS.pubkeys[number],
            payload=payload,
            signature=group_signature(number, payload),
        )
        for number in numbers
    )
    if items:
        duty = Duty(9, DutyType.PREPARE_AGGREGATOR)
        await world.aggregated.store(SignedDataSet(duty=duty, items=items))
    await world.decided.store(other_duties.VALIDATORS.unsigned(9))


def test_aggregates_by_the_draw_are_voted_for() -> None:
    async def scenario(world: World) -> None:
        await prepared(world, 0, 1, 2)
        value = encode_unsigned(aggregates())
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.OK

    play(scenario)


def test_proof_that_is_not_known_here_is_verified() -> None:
    async def scenario(world: World) -> None:
        await prepared(world)
        value = encode_unsigned(aggregates())
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.OK

    play(scenario)


@pytest.mark.parametrize("known", [True, False])
def test_false_proof_is_refused_whether_ours_is_known_or_not(known: bool) -> None:
    async def scenario(world: World) -> None:
        await prepared(world, *((0, 1, 2) if known else ()))
        message = replace(aggregate_and_proof(0), selection_proof=group_signature(0, OTHER_PROOF))
        item = UnsignedAggregate(pubkey=other_duties.VALIDATORS.pubkeys[0], message=message)
        value = encode_unsigned(replace(aggregates(), items=(item,)))
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.REFUSED
        assert world.reasons == ["selection proof is not the group's"]

    play(scenario)


OTHER_PROOF = SelectionPayload(slot=10)


def test_drawn_validator_that_is_left_out_is_seen_in_the_first_rounds() -> None:
    async def scenario(world: World) -> None:
        await prepared(world, 0, 1, 2)
        value = encode_unsigned(aggregates(0, 2))
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.UNKNOWN
        assert await world.agreement.check(AGGREGATOR, value, 2) is Verdict.OK

    play(scenario)


def test_aggregates_of_votes_that_are_not_agreed_here_get_no_vote() -> None:
    async def scenario(world: World) -> None:
        world.definitions = aggregator_definitions()
        value = encode_unsigned(aggregates())
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.UNKNOWN

    play(scenario)


def test_contributions_are_checked_against_our_own_sync_messages() -> None:
    async def scenario(world: World) -> None:
        world.definitions = sync_definitions()
        value = encode_unsigned(contributions())
        assert await world.agreement.check(CONTRIBUTION, value, 1) is Verdict.UNKNOWN
        for head, verdict in ((b"h", Verdict.OK), (b"x", Verdict.REFUSED)):
            world = World()
            world.definitions = sync_definitions()
            payload = SyncMessagePayload(slot=9, beacon_block_root=head * 32)
            items = tuple(
                SignedData(pubkey=pubkey, payload=payload, signature=bytes(96))
                for pubkey in other_duties.VALIDATORS.pubkeys
            )
            duty = Duty(9, DutyType.SYNC_MESSAGE)
            await world.aggregated.store(SignedDataSet(duty=duty, items=items))
            assert await world.agreement.check(CONTRIBUTION, value, 1) is verdict

    play(scenario)


def test_value_full_of_strangers_is_refused_before_any_of_its_proofs_is_verified() -> None:
    async def scenario(world: World) -> None:
        await prepared(world)
        message = aggregate_and_proof(0)
        stranger = UnsignedAggregate(pubkey=PubKey(b"\xff" * 48), message=message)
        value = encode_unsigned(replace(aggregates(), items=(*aggregates().items, stranger)))
        assert await world.agreement.check(AGGREGATOR, value, 1) is Verdict.REFUSED
        assert world.reasons == ["definition differs from our own schedule"]

    play(scenario)


def test_instance_of_aggregators_is_joined_only_when_somebody_is_drawn() -> None:
    async def scenario(world: World) -> None:
        await world.agreement.participate(aggregator_definitions())
        assert world.consensus.calls == []
        await world.agreement.join(aggregator_definitions())
        assert world.consensus.calls == [("participate", AGGREGATOR)]

    play(scenario)


# --- features ---------------------------------------------------------------------------------


async def in_sync_committee(world: World) -> None:
    """Validators 0 and 1 are drawn, 0 for two subcommittees, and have voted for a head."""
    world.definitions = sync_definitions()
    keys = other_duties.VALIDATORS.pubkeys
    payload = SyncMessagePayload(slot=9, beacon_block_root=b"h" * 32)
    items = tuple(SignedData(pubkey=k, payload=payload, signature=bytes(96)) for k in keys)
    await world.aggregated.store(
        SignedDataSet(duty=Duty(9, DutyType.SYNC_MESSAGE), items=items),
    )
    proofs = tuple(
        SignedData(
            pubkey=keys[number],
            payload=SyncSelectionPayload(slot=9, subcommittee_index=index),
            signature=group_signature(
                number, SyncSelectionPayload(slot=9, subcommittee_index=index)
            ),
        )
        for number, index in ((0, 0), (0, 2), (1, 0))
    )
    prepared = Duty(9, DutyType.PREPARE_SYNC_CONTRIBUTION)
    await world.aggregated.store(SignedDataSet(duty=prepared, items=proofs))


def test_program_that_knows_one_contribution_for_each_validator_refuses_several() -> None:
    async def scenario(world: World) -> None:
        await in_sync_committee(world)
        world.known_features = world.sent_features = ()
        several = encode_unsigned(contributions())
        assert await world.agreement.check(CONTRIBUTION, several, 9) is Verdict.REFUSED
        decided = Decided(
            duty=CONTRIBUTION, value=several, round=1, leader=0, started_s=0.0, decided_s=0.0
        )
        with pytest.raises(ValueInvalid):
            await world.agreement.on_decided(decided)
        single = encode_unsigned(contributions((0, 0), (1, 0)))
        assert await world.agreement.check(CONTRIBUTION, single, 1) is Verdict.OK

    play(scenario)


def test_several_contributions_are_taken_before_all_nodes_may_send_them() -> None:
    """Whoever heard of the agreement first sends them first."""

    async def scenario(world: World) -> None:
        await in_sync_committee(world)
        several = encode_unsigned(contributions())
        single = encode_unsigned(contributions((0, 0), (1, 0)))
        world.sent_features = ()
        assert await world.agreement.check(CONTRIBUTION, several, 1) is Verdict.OK
        assert await world.agreement.check(CONTRIBUTION, single, 1) is Verdict.OK
        without = encode_unsigned(contributions((0, 0), (0, 2)))
        assert await world.agreement.check(CONTRIBUTION, without, 1) is Verdict.UNKNOWN
        world.sent_features = world.known_features
        assert await world.agreement.check(CONTRIBUTION, single, 1) is Verdict.UNKNOWN
        assert await world.agreement.check(CONTRIBUTION, single, 2) is Verdict.OK

    play(scenario)


@pytest.mark.parametrize(("agreed", "verdict"), [(True, Verdict.OK), (False, Verdict.REFUSED)])
def test_blinded_block_is_voted_for_if_the_cluster_agreed_on_builders(
    agreed: bool, verdict: Verdict
) -> None:
    async def scenario(world: World) -> None:
        world.builder_api = agreed
        definition = ProposerDefinition(pubkey=PUBKEY, slot=9, validator_index=100)
        world.definitions = DefinitionSet(duty=PROPOSAL, definitions=(definition,))
        await world.aggregated.store(signed_randao(PUBKEY))
        reveal = signed_randao(PUBKEY).items[0].signature
        blinded = proposal_set(PUBKEY, block(randao=reveal, blinded=True))
        assert await world.agreement.check(PROPOSAL, encode_unsigned(blinded), 1) is verdict

    play(scenario)


def test_clusters_own_agreement_goes_through_consensus_and_never_to_the_signer() -> None:
    async def scenario(world: World) -> None:
        duty = Duty(15, DutyType.INFO_SYNC)
        await world.agreement.propose_ballot(Ballot(duty=duty, value=b"ballot"))
        assert world.consensus.calls == [("propose", duty, b"ballot")]
        assert await world.agreement.check(duty, b"ballot", 2) is Verdict.OK
        assert world.ballots.asked == [(duty, b"ballot", 2)]
        data, agreed = recorded(world.agreement.decided), recorded(world.agreement.agreed)
        decision = recorded(world.agreement.decision)
        decided = Decided(
            duty=duty, value=b"ballot", round=1, leader=0, started_s=0.0, decided_s=0.0
        )
        await world.agreement.on_decided(decided)
        assert (data, agreed, decision) == ([], [decided], [decided])

    play(scenario)
