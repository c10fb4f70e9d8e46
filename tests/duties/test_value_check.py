"""What a leader may propose: each rule refuses exactly what it is about."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.duties import other_duties
from tests.duties.duty_world import CHAIN, Validators, attestation_data
from tests.duties.other_duties import (
    aggregate_and_proof,
    aggregates,
    aggregator_definitions,
    contribution_and_proof,
    contributions,
    sync_definitions,
)

from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.duties.value_check import Facts, refusal
from tetrarch.ethereum.spec.aggregates import AggregateAndProof
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Checkpoint, Fork
from tetrarch.ssz.bits import Bits

VALIDATORS = Validators(2)
DUTY = Duty(9, DutyType.ATTESTER)
FACTS = Facts(definitions=VALIDATORS.definitions(), view=attestation_data(9, head=b"o" * 32))


def test_other_head_is_accepted() -> None:
    assert refusal(VALIDATORS.unsigned(), DUTY, FACTS, CHAIN) is None


def test_subset_of_our_validators_is_accepted() -> None:
    value = VALIDATORS.unsigned()
    assert refusal(replace(value, items=value.items[:1]), DUTY, FACTS, CHAIN) is None


def test_without_own_view_the_other_rules_hold() -> None:
    assert refusal(VALIDATORS.unsigned(), DUTY, replace(FACTS, view=None), CHAIN) is None


def changed(**fields: object) -> UnsignedDataSet:
    value = VALIDATORS.unsigned()
    items = tuple(
        replace(item, data=replace(item.data, **fields))  # type: ignore[arg-type]  # one kind
        for item in value.items
        if isinstance(item, UnsignedAttestation)
    )
    return replace(value, items=items)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda: changed(slot=10), "attestation data is for another slot"),
        (lambda: changed(index=1), "attestation data is for another committee"),
        (
            lambda: changed(target=Checkpoint(epoch=2, root=b"t" * 32)),
            "target is not the slot's epoch",
        ),
        (
            lambda: changed(source=Checkpoint(epoch=2, root=b"s" * 32)),
            "source is after target",
        ),
        (
            lambda: changed(source=Checkpoint(epoch=0, root=b"?" * 32)),
            "source differs from our head's chain",
        ),
        (
            lambda: changed(target=Checkpoint(epoch=1, root=b"?" * 32)),
            "target differs from our head's chain",
        ),
        (lambda: VALIDATORS.unsigned(17), "value is for another duty"),
    ],
)
def test_wrong_attestation_is_refused(value: Callable[[], UnsignedDataSet], reason: str) -> None:
    assert refusal(value(), DUTY, FACTS, CHAIN) == reason


def test_foreign_validator_is_refused() -> None:
    value = VALIDATORS.unsigned()
    foreign = replace(VALIDATORS.definition(0), validator_index=999)
    data = attestation_data(9)
    value = replace(value, items=(UnsignedAttestation(definition=foreign, data=data),))
    assert refusal(value, DUTY, FACTS, CHAIN) == "definition differs from our own schedule"


def test_unknown_schedule_is_no_consent() -> None:
    assert refusal(VALIDATORS.unsigned(), DUTY, Facts(definitions=None), CHAIN) is not None


PROPOSER = ProposerDefinition(pubkey=VALIDATORS.pubkeys[0], slot=9, validator_index=100)
PROPOSAL_DUTY = Duty(9, DutyType.PROPOSER)
RANDAO = b"r" * 96
PROPOSAL_FACTS = Facts(
    definitions=DefinitionSet(duty=PROPOSAL_DUTY, definitions=(PROPOSER,)), randao=RANDAO
)


def proposal(
    *,
    slot: int = 9,
    proposer: int = 100,
    fork: Fork = Fork.ELECTRA,
    randao: bytes = RANDAO,
    pays: bytes | None = None,
    blinded: bool = False,
) -> UnsignedDataSet:
    header = BeaconBlockHeader(
        slot=slot,
        proposer_index=proposer,
        parent_root=b"p" * 32,
        state_root=b"s" * 32,
        body_root=b"b" * 32,
    )
    block = Proposal(
        fork=fork,
        blinded=blinded,
        preset="minimal",
        ssz=b"",
        header=header,
        fee_recipient=pays,
        randao_reveal=randao,
        graffiti=bytes(32),
    )
    item = UnsignedProposal(definition=PROPOSER, proposal=block)
    return UnsignedDataSet(duty=PROPOSAL_DUTY, items=(item,))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (proposal(), None),
        (proposal(slot=10), "block is for another slot"),
        (proposal(proposer=7), "block names another proposer"),
        (proposal(fork=Fork.DENEB), "block is of another fork"),
        (proposal(randao=b"x" * 96), "block carries another randao reveal"),
    ],
)
def test_proposal_must_be_the_duty(value: UnsignedDataSet, reason: str | None) -> None:
    assert refusal(value, PROPOSAL_DUTY, PROPOSAL_FACTS, CHAIN) == reason


PAYEE = b"p" * 20


@pytest.mark.parametrize(
    ("value", "payee", "reason"),
    [
        (proposal(pays=PAYEE), PAYEE, None),
        (proposal(pays=b"x" * 20), PAYEE, "block pays its fees to another address"),
        (proposal(pays=bytes(20)), PAYEE, "block pays its fees to another address"),
        (proposal(pays=b"x" * 20), None, None),  # none is set
        (proposal(pays=None), PAYEE, None),  # before Bellatrix there are no fees
        (proposal(pays=b"x" * 20, blinded=True), PAYEE, None),  # the builder's own address
    ],
)
def test_block_must_pay_the_proposer(
    value: UnsignedDataSet, payee: bytes | None, reason: str | None
) -> None:
    facts = replace(PROPOSAL_FACTS, payee=payee)
    assert refusal(value, PROPOSAL_DUTY, facts, CHAIN) == reason


def test_blinded_block_is_refused_where_no_builder_is_asked() -> None:
    """Else a leader that built the payload itself would be paid without anybody seeing it."""
    facts = replace(PROPOSAL_FACTS, payee=PAYEE, builder_api=False)
    assert refusal(proposal(pays=PAYEE), PROPOSAL_DUTY, facts, CHAIN) is None
    blinded = proposal(pays=PAYEE, blinded=True)
    reason = "block is blinded, and no builder is asked"
    assert refusal(blinded, PROPOSAL_DUTY, facts, CHAIN) == reason


def test_invalid_randao_is_refused_when_ours_is_not_there_yet() -> None:
    facts = replace(PROPOSAL_FACTS, randao=b"")
    assert refusal(proposal(), PROPOSAL_DUTY, facts, CHAIN) is not None


def test_view_is_of_the_type_that_is_compared() -> None:
    assert isinstance(FACTS.view, AttestationData)


# --- aggregators: what they vouch for, and whether they were drawn -----------------------------

AGGREGATOR = Duty(9, DutyType.AGGREGATOR)
CONTRIBUTION = Duty(9, DutyType.SYNC_CONTRIBUTION)
AGGREGATE_FACTS = Facts(
    definitions=aggregator_definitions(),
    votes={pubkey: attestation_data(9) for pubkey in other_duties.VALIDATORS.pubkeys},
    proofs=frozenset((pubkey, 0) for pubkey in other_duties.VALIDATORS.pubkeys),
)
CONTRIBUTION_FACTS = Facts(
    definitions=sync_definitions(),
    heads=dict.fromkeys(other_duties.VALIDATORS.pubkeys, b"h" * 32),
    proofs=frozenset((item.pubkey, item.sub_index) for item in contributions().items),
)


def one_aggregate(**changes: Any) -> UnsignedDataSet:
    """Of validator 0, changed in the aggregate itself."""
    message = aggregate_and_proof(0)
    return with_message(replace(message, aggregate=replace(message.aggregate, **changes)))


def with_message(message: AggregateAndProof) -> UnsignedDataSet:
    item = UnsignedAggregate(pubkey=other_duties.VALIDATORS.pubkeys[0], message=message)
    return UnsignedDataSet(duty=AGGREGATOR, items=(item,))


def one_contribution(**changes: Any) -> UnsignedDataSet:
    """Of validator 0 in subcommittee 0, changed in the contribution itself."""
    message = contribution_and_proof(0, 0)
    message = replace(message, contribution=replace(message.contribution, **changes))
    item = UnsignedContribution(pubkey=other_duties.VALIDATORS.pubkeys[0], message=message)
    return UnsignedDataSet(duty=CONTRIBUTION, items=(item,))


def test_right_aggregates_and_contributions_are_accepted() -> None:
    assert refusal(aggregates(), AGGREGATOR, AGGREGATE_FACTS, CHAIN) is None
    assert refusal(contributions(), CONTRIBUTION, CONTRIBUTION_FACTS, CHAIN) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (one_aggregate(data=attestation_data(10)), "aggregate is for another slot"),
        (
            one_aggregate(data=attestation_data(9, head=b"x" * 32)),
            "aggregate is of another vote than the cluster's",
        ),
        (one_aggregate(committee_bits=Bits.single(1, 4)), "aggregate is of another committee"),
        (
            one_aggregate(committee_bits=Bits.of((True, True, False, False))),
            "aggregate is not of exactly one committee",
        ),
        (
            one_aggregate(aggregation_bits=Bits.of([True] * 9)),
            "aggregate is of a committee of another size",
        ),
        (one_aggregate(aggregation_bits=Bits.zeros(8)), "aggregate is of no vote"),
        (
            with_message(replace(aggregate_and_proof(0), aggregator_index=101)),
            "another validator aggregates",
        ),
        (
            with_message(replace(aggregate_and_proof(0), fork=Fork.FULU)),
            "aggregate is of another fork",
        ),
    ],
)
def test_wrong_aggregate_is_refused(value: UnsignedDataSet, reason: str) -> None:
    assert refusal(value, AGGREGATOR, AGGREGATE_FACTS, CHAIN) == reason


def test_aggregator_must_be_drawn_by_a_proof_of_the_group() -> None:
    without = replace(AGGREGATE_FACTS, proofs=frozenset())
    reason = "selection proof is not the group's"
    assert refusal(aggregates(), AGGREGATOR, without, CHAIN) == reason
    definitions = tuple(
        replace(each, committee_length=16 * 1_000_000)
        for each in aggregator_definitions().definitions
        if isinstance(each, AttesterDefinition)
    )
    large = replace(
        AGGREGATE_FACTS, definitions=DefinitionSet(duty=AGGREGATOR, definitions=definitions)
    )
    # The draw is looked at by the committee's real size, whatever the aggregate claims.
    assert refusal(aggregates(), AGGREGATOR, large, CHAIN) is not None


def test_aggregate_of_a_vote_that_is_not_known_is_refused() -> None:
    unknown = replace(AGGREGATE_FACTS, votes={})
    assert refusal(aggregates(), AGGREGATOR, unknown, CHAIN) is not None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (one_contribution(slot=10), "contribution is for another slot"),
        (one_contribution(beacon_block_root=b"x" * 32), "contribution is for another head"),
        (one_contribution(subcommittee_index=1), "validator is not in the subcommittee"),
        (one_contribution(aggregation_bits=Bits.zeros(8)), "contribution is of no message"),
    ],
)
def test_wrong_contribution_is_refused(value: UnsignedDataSet, reason: str) -> None:
    assert refusal(value, CONTRIBUTION, CONTRIBUTION_FACTS, CHAIN) == reason


def test_contributions_proof_must_be_the_groups() -> None:
    reason = "selection proof is not the group's"
    without = replace(CONTRIBUTION_FACTS, proofs=frozenset())
    assert refusal(contributions(), CONTRIBUTION, without, CHAIN) == reason


def test_value_of_another_kind_than_the_duty_is_refused() -> None:
    value = replace(contributions(), duty=AGGREGATOR)
    reason = "value is of another kind than the duty"
    assert refusal(value, AGGREGATOR, AGGREGATE_FACTS, CHAIN) == reason


def test_one_committee_has_one_aggregate_and_one_subcommittee_one_contribution() -> None:
    """Validators 0 and 2 are of one committee, 0 and 1 of one subcommittee."""
    pubkeys = other_duties.VALIDATORS.pubkeys
    fewer = aggregate_and_proof(2, votes=(1,))
    other = UnsignedAggregate(pubkey=pubkeys[2], message=fewer)
    value = replace(aggregates(), items=(*aggregates().items[:2], other))
    reason = "two aggregates of one committee"
    assert refusal(value, AGGREGATOR, AGGREGATE_FACTS, CHAIN) == reason
    less = contribution_and_proof(1, 0, votes=1)
    second = UnsignedContribution(pubkey=pubkeys[1], message=less)
    divided = replace(contributions(), items=(*contributions().items[:2], second))
    reason = "two contributions of one subcommittee"
    assert refusal(divided, CONTRIBUTION, CONTRIBUTION_FACTS, CHAIN) == reason
