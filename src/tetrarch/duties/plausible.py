"""Whether a payload can belong to a duty at all. Pure; used on everything peers send."""

from tetrarch.duties.types import Duty, Payload, PubKey, RegistrationPayload
from tetrarch.ethereum.spec.chain import ChainSpec


def belongs(payload: Payload, duty: Duty, chain: ChainSpec) -> bool:
    """Whether ``payload`` is of the duty's kind, slot, epoch and fork."""
    return payload.DUTY_TYPE is duty.type and payload.is_of(duty.slot, chain)


def names_another(payload: Payload, pubkey: PubKey) -> bool:
    """Whether ``payload`` says itself that another validator signs it."""
    return isinstance(payload, RegistrationPayload) and payload.message.pubkey != pubkey


def signing_root(payload: Payload, chain: ChainSpec) -> bytes:
    """The 32 bytes that every share signs for ``payload``."""
    epoch = payload.signing_epoch(chain)
    return chain.forks.signing_root(payload.DOMAIN_TYPE, epoch, payload.message_root())
