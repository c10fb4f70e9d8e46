"""Which signatures a node that has forgotten could contradict. Pure."""

from tetrarch.duties.types import (
    AttestationPayload,
    Payload,
    ProposalPayload,
    SyncMessagePayload,
)


def contradictable_slot(payload: Payload) -> int | None:
    """The slot of what a node could sign differently a second time."""
    if isinstance(payload, SyncMessagePayload):  # no slashing, but its peers drop the second one
        return payload.slot
    return slashable_slot(payload)


def slashable_slot(payload: Payload) -> int | None:
    """The slot of a vote or block; None for what nobody is slashed for."""
    match payload:
        case AttestationPayload(data=data):
            return data.slot
        case ProposalPayload(header=header):
            return header.slot
        case _:
            return None
