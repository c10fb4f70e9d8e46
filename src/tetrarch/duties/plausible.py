"""Whether a payload can belong to a duty at all. Pure; used on everything peers send."""

from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    Payload,
    ProposalPayload,
    RandaoPayload,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import DomainType


def belongs(payload: Payload, duty: Duty, chain: ChainSpec) -> bool:
    """Whether ``payload`` is of the duty's kind, slot, epoch and fork."""
    epoch = chain.epoch_of(duty.slot)
    match payload:
        case AttestationPayload(data=data):
            return (
                duty.type is DutyType.ATTESTER
                and data.slot == duty.slot
                and data.target.epoch == epoch
            )
        case ProposalPayload(fork=fork, header=header):
            return (
                duty.type is DutyType.PROPOSER
                and header.slot == duty.slot
                and fork is chain.fork_at_slot(duty.slot)
            )
        case RandaoPayload(epoch=reveal_epoch):
            return duty.type is DutyType.RANDAO and reveal_epoch == epoch


def signing_root(payload: Payload, chain: ChainSpec) -> bytes:
    """The 32 bytes that every share signs for ``payload``."""
    domain_type, epoch = _domain(payload, chain)
    return chain.forks.signing_root(domain_type, epoch, payload.message_root())


def _domain(payload: Payload, chain: ChainSpec) -> tuple[DomainType, int]:
    match payload:
        case AttestationPayload(data=data):
            return DomainType.BEACON_ATTESTER, data.target.epoch
        case ProposalPayload(header=header):
            return DomainType.BEACON_PROPOSER, chain.epoch_of(header.slot)
        case RandaoPayload(epoch=epoch):
            return DomainType.RANDAO, epoch
