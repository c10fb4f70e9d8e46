"""The rule that a leader's value must pass before this node votes PREPARE for it. Pure.

A value is refused when it is not what the duty asks for (wrong slot, validator, committee,
proposer, randao, payee, proof), when its source or target differs from our own head's chain, or
when our EIP-3076 history of the group key refuses it. The head vote may differ: honest nodes see
blocks at different moments.

What cannot be checked: an aggregate's signature is by a committee whose keys we do not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    ProposerDefinition,
    PubKey,
    SyncCommitteeDefinition,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.aggregates import Aggregate, SyncCommitteeContribution
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.selection import is_aggregator, is_sync_aggregator, subcommittees_of
from tetrarch.ethereum.spec.values import AttestationData, Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What this node knows by itself about the duty. None: it could not find out in time.

    ``definitions``  our scheduler's answer.
    ``view``         our own beacon node's attestation data of the slot.
    ``randao``       the group's verified randao reveal (96 bytes) for the slot's proposer.
    ``payee``        where the proposer's block must pay its fees (20 bytes).
    ``former_payee`` an address that it may pay instead, just after a change.
    ``votes``        what the cluster attests to in the slot, by validator.
    ``heads``        what the cluster's sync committee members vote for in the slot, 32 bytes.
    ``proofs``       of which (validator, sub-index) the value's selection proof is the group's.

    ``builder_api`` tells whether the cluster takes blinded blocks. What a builder pays, and to
    whom, is in a transaction of its payload that nobody has seen: there the payee says nothing.
    """

    definitions: DefinitionSet | None
    view: AttestationData | None = None
    randao: bytes | None = None
    payee: bytes | None = None
    former_payee: bytes | None = None
    builder_api: bool = True
    votes: Mapping[PubKey, AttestationData] = field(default_factory=dict)
    heads: Mapping[PubKey, bytes] = field(default_factory=dict)
    proofs: frozenset[tuple[PubKey, int]] = frozenset()


def refusal(value: UnsignedDataSet, duty: Duty, facts: Facts, chain: ChainSpec) -> str | None:
    """Why ``value`` must not be voted for, or None when nothing speaks against it."""
    reason = misplaced(value, duty, facts)
    if reason is not None:
        return reason
    known = _by_key(facts)
    reasons = (_item_refusal(item, known[item.pubkey], duty, facts, chain) for item in value.items)
    found = next((reason for reason in reasons if reason is not None), None)
    return found or _divided(value)


def _divided(value: UnsignedDataSet) -> str | None:
    """All of a committee vouch for one aggregate: a validator client asks for it only once."""
    aggregates: dict[int, Aggregate] = {}
    contributions: dict[tuple[int, bytes], SyncCommitteeContribution] = {}
    for item in value.items:
        if isinstance(item, UnsignedAggregate):
            aggregate = item.message.aggregate
            if aggregates.setdefault(aggregate.committee_index, aggregate) != aggregate:
                return "two aggregates of one committee"
        elif isinstance(item, UnsignedContribution):
            part = item.message.contribution
            place = part.subcommittee_index, part.beacon_block_root
            if contributions.setdefault(place, part) != part:
                return "two contributions of one subcommittee"
    return None


def misplaced(value: UnsignedDataSet, duty: Duty, facts: Facts) -> str | None:
    """Why ``value`` cannot be the duty's at all: seen before anything costly is done for it."""
    if value.duty != duty:
        return "value is for another duty"
    if facts.definitions is None:
        return "own schedule not known"
    known = _by_key(facts)
    if any(item.pubkey not in known for item in value.items):
        return "definition differs from our own schedule"
    return None


def _by_key(facts: Facts) -> dict[PubKey, DutyDefinition]:
    definitions = () if facts.definitions is None else facts.definitions.definitions
    return {definition.pubkey: definition for definition in definitions}


def left_out(value: UnsignedDataSet, definitions: DefinitionSet) -> int:
    """How many validators have the duty by our own schedule and are not in ``value``.

    Not a reason to refuse for good: an honest leader leaves out those whose vote its slashing
    history forbids. A lying one would leave out whom it likes; ``Agreement.check`` tells how
    that is bounded.
    """
    proposed = {item.pubkey for item in value.items}
    return sum(each.pubkey not in proposed for each in definitions.definitions)


def _item_refusal(
    item: UnsignedData, definition: DutyDefinition, duty: Duty, facts: Facts, chain: ChainSpec
) -> str | None:
    match item, definition:
        case UnsignedAttestation(), AttesterDefinition():
            return _attestation_refusal(item, definition, duty, facts, chain)
        case UnsignedProposal(), ProposerDefinition():
            return _proposal_refusal(item, definition, duty, facts, chain)
        case UnsignedAggregate(), AttesterDefinition():
            return _aggregate_refusal(item, definition, duty, facts, chain)
        case UnsignedContribution(), SyncCommitteeDefinition():
            return _contribution_refusal(item, definition, duty, facts, chain)
        case _:
            return "value is of another kind than the duty"


def _attestation_refusal(
    item: UnsignedAttestation,
    definition: AttesterDefinition,
    duty: Duty,
    facts: Facts,
    chain: ChainSpec,
) -> str | None:
    data, view = item.data, facts.view
    electra = chain.fork_at_slot(duty.slot).at_least(Fork.ELECTRA)
    index = 0 if electra else item.definition.committee_index
    # Without a view of our own (our beacon node is away) the slashing history alone decides.
    return _first(
        (item.definition != definition, "definition differs from our own schedule"),
        (data.slot != duty.slot, "attestation data is for another slot"),
        (data.index != index, "attestation data is for another committee"),
        (data.target.epoch != chain.epoch_of(duty.slot), "target is not the slot's epoch"),
        (data.source.epoch > data.target.epoch, "source is after target"),
        (view and data.source != view.source, "source differs from our head's chain"),
        (view and data.target != view.target, "target differs from our head's chain"),
    )


def _proposal_refusal(
    item: UnsignedProposal,
    definition: ProposerDefinition,
    duty: Duty,
    facts: Facts,
    chain: ChainSpec,
) -> str | None:
    proposal, randao = item.proposal, facts.randao
    proposer = proposal.header.proposer_index
    return _first(
        (item.definition != definition, "definition differs from our own schedule"),
        (proposal.header.slot != duty.slot, "block is for another slot"),
        (proposer != item.definition.validator_index, "block names another proposer"),
        (proposal.fork is not chain.fork_at_slot(duty.slot), "block is of another fork"),
        (
            randao is not None and proposal.randao_reveal != randao,
            "block carries another randao reveal",
        ),
        (proposal.blinded and not facts.builder_api, "block is blinded, and no builder is asked"),
        (_pays_neither(proposal, facts), "block pays its fees to another address"),
    )


def _aggregate_refusal(
    item: UnsignedAggregate,
    definition: AttesterDefinition,
    duty: Duty,
    facts: Facts,
    chain: ChainSpec,
) -> str | None:
    message, aggregate = item.message, item.message.aggregate
    try:
        committee = aggregate.committee_index
    except InputInvalid:
        return "aggregate is not of exactly one committee"
    vote = facts.votes.get(item.pubkey)
    drawn = is_aggregator(definition.committee_length, message.selection_proof)
    return _first(
        (message.slot != duty.slot, "aggregate is for another slot"),
        (message.fork is not chain.fork_at_slot(duty.slot), "aggregate is of another fork"),
        (message.aggregator_index != definition.validator_index, "another validator aggregates"),
        (committee != definition.committee_index, "aggregate is of another committee"),
        (
            len(aggregate.aggregation_bits) != definition.committee_length,
            "aggregate is of a committee of another size",
        ),
        (aggregate.aggregation_bits.count() == 0, "aggregate is of no vote"),
        (aggregate.data != vote, "aggregate is of another vote than the cluster's"),
        (not drawn, "validator was not drawn to aggregate"),
        ((item.pubkey, 0) not in facts.proofs, "selection proof is not the group's"),
    )


def _contribution_refusal(
    item: UnsignedContribution,
    definition: SyncCommitteeDefinition,
    duty: Duty,
    facts: Facts,
    chain: ChainSpec,
) -> str | None:
    message, contribution = item.message, item.message.contribution
    own = subcommittees_of(definition.positions, preset=chain.preset)
    head = facts.heads.get(item.pubkey)
    drawn = is_sync_aggregator(message.selection_proof, preset=chain.preset)
    return _first(
        (message.slot != duty.slot, "contribution is for another slot"),
        (message.aggregator_index != definition.validator_index, "another validator aggregates"),
        (item.sub_index not in own, "validator is not in the subcommittee"),
        (contribution.aggregation_bits.count() == 0, "contribution is of no message"),
        (contribution.beacon_block_root != head, "contribution is for another head"),
        (not drawn, "validator was not drawn to aggregate"),
        ((item.pubkey, item.sub_index) not in facts.proofs, "selection proof is not the group's"),
    )


def _pays_neither(proposal: Proposal, facts: Facts) -> bool:
    if not pays_another(proposal, facts.payee):
        return False
    return facts.former_payee is None or pays_another(proposal, facts.former_payee)


def pays_another(proposal: Proposal, payee: bytes | None) -> bool:
    """Whether the block's own payload pays somebody else; blocks before Bellatrix have none."""
    recipient = None if proposal.blinded else proposal.fee_recipient
    return payee is not None and recipient is not None and recipient != payee


def _first(*checks: tuple[object, str]) -> str | None:
    """The reason of the first check that found something wrong."""
    return next((reason for wrong, reason in checks if wrong), None)
