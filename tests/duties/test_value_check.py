"""What a leader may propose: each rule refuses exactly what it is about."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.duties.duty_world import CHAIN, Validators, attestation_data

from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyType,
    ProposerDefinition,
    UnsignedAttestation,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.duties.value_check import Facts, refusal
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader, Checkpoint, Fork

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
