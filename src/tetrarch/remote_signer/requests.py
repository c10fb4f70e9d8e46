"""Remote signing requests as JSON, to be sent (``body_of``) and as received (``parse``). Pure.

Names and shapes are those of the remote signing API that Web3Signer made a standard. Blocks go as
headers from Bellatrix on and whole before; aggregates are named with their fork from Electra on.

Source: ethereum/remote-signing-api, version 1.3.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tetrarch.enclave.approval import signed_for, signing_root_of
from tetrarch.enclave.ports import (
    SignAggregate,
    SignAttestation,
    SignBlock,
    SignContribution,
    SignExit,
    SignRandao,
    SignRegistration,
    SignRequest,
    SignSelection,
    SignSyncMessage,
    SignSyncSelection,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import (
    AttestationData,
    BeaconBlockHeader,
    Fork,
    member,
    parse_hex,
    parse_uint64,
)

SIGN_PATH = "/api/v1/eth2/sign/"
PUBLIC_KEYS_PATH = "/api/v1/eth2/publicKeys"
UPCHECK_PATH = "/upcheck"
_UINT64_BITS = 64


class Kind(StrEnum):
    """The ``type`` of a request."""

    AGGREGATION_SLOT = "AGGREGATION_SLOT"
    AGGREGATE_AND_PROOF = "AGGREGATE_AND_PROOF"
    AGGREGATE_AND_PROOF_V2 = "AGGREGATE_AND_PROOF_V2"
    ATTESTATION = "ATTESTATION"
    BLOCK = "BLOCK"
    BLOCK_V2 = "BLOCK_V2"
    DEPOSIT = "DEPOSIT"
    RANDAO_REVEAL = "RANDAO_REVEAL"
    SYNC_COMMITTEE_MESSAGE = "SYNC_COMMITTEE_MESSAGE"
    SYNC_COMMITTEE_SELECTION_PROOF = "SYNC_COMMITTEE_SELECTION_PROOF"
    SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF = "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF"
    VALIDATOR_REGISTRATION = "VALIDATOR_REGISTRATION"
    VOLUNTARY_EXIT = "VOLUNTARY_EXIT"


class KindUnsupported(InputInvalid):
    """A type of request that is not signed here; deposits belong to making a cluster."""

    code = "signing_type_unsupported"


class SigningRootDiffers(InputInvalid):
    """The request's own signing root, or its chain, is not what its content gives."""

    code = "signing_root_differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One request to be sent: its kind, for the metrics, and its JSON object."""

    kind: Kind
    value: dict[str, Any]


def needs_whole_block(request: SignRequest, chain: ChainSpec) -> bool:
    """Whether the API wants the block itself where we hold its header: before Bellatrix."""
    if not isinstance(request, SignBlock):
        return False
    return not chain.fork_at_slot(request.header.slot).at_least(Fork.BELLATRIX)


def body_of(request: SignRequest, chain: ChainSpec, *, block: Proposal | None = None) -> Body:
    """The request as JSON.

    Args:
        request: what is to be signed.
        chain: gives forks and signing root.
        block: the block of ``request``, where ``needs_whole_block``.

    Raises:
        InputInvalid: the block is needed and not given.
    """
    kind, name, value = _content(request, chain, block)
    head: dict[str, Any] = {"type": kind.value}
    if kind is not Kind.VALIDATOR_REGISTRATION:  # the one that is of no fork
        head["fork_info"] = _fork_info(request, chain)
    head["signingRoot"] = "0x" + signing_root_of(request, chain).hex()
    return Body(kind=kind, value={**head, name: value})


def _content(  # noqa: PLR0911 - one line for each kind
    request: SignRequest, chain: ChainSpec, block: Proposal | None
) -> tuple[Kind, str, object]:
    """The kind, the name of the member with the content, and the content."""
    match request:
        case SignAttestation(data=data):
            return Kind.ATTESTATION, "attestation", data.to_json()
        case SignBlock(header=header):
            return Kind.BLOCK_V2, "beacon_block", _block(header, chain, block)
        case SignRandao(epoch=epoch):
            return Kind.RANDAO_REVEAL, "randao_reveal", {"epoch": str(epoch)}
        case SignSelection(slot=slot):
            return Kind.AGGREGATION_SLOT, "aggregation_slot", {"slot": str(slot)}
        case SignSyncMessage(slot=slot, beacon_block_root=root):
            vote = {"slot": str(slot), "beacon_block_root": "0x" + root.hex()}
            return Kind.SYNC_COMMITTEE_MESSAGE, "sync_committee_message", vote
        case SignSyncSelection(slot=slot, subcommittee_index=index):
            place = {"slot": str(slot), "subcommittee_index": str(index)}
            return Kind.SYNC_COMMITTEE_SELECTION_PROOF, "sync_aggregator_selection_data", place
        case _:
            return _message(request)


def _message(
    request: SignAggregate | SignContribution | SignExit | SignRegistration,
) -> tuple[Kind, str, object]:
    match request:
        case SignAggregate(message=aggregate):
            value = aggregate.to_json()
            if not aggregate.fork.at_least(Fork.ELECTRA):  # what older signers know, too
                return Kind.AGGREGATE_AND_PROOF, "aggregate_and_proof", value
            named = {"version": aggregate.fork.value.upper(), "data": value}
            return Kind.AGGREGATE_AND_PROOF_V2, "aggregate_and_proof", named
        case SignContribution(message=contribution):
            kind = Kind.SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF
            return kind, "contribution_and_proof", contribution.to_json()
        case SignExit(message=exit_):
            return Kind.VOLUNTARY_EXIT, "voluntary_exit", exit_.to_json()
        case SignRegistration(message=registration):
            return Kind.VALIDATOR_REGISTRATION, "validator_registration", registration.to_json()


def _block(header: BeaconBlockHeader, chain: ChainSpec, block: Proposal | None) -> dict[str, Any]:
    fork = chain.fork_at_slot(header.slot)
    named = {"version": fork.value.upper()}
    if fork.at_least(Fork.BELLATRIX):
        return {**named, "block_header": header.to_json()}
    if block is None or block.header != header:
        raise InputInvalid("build signing request", field="block", reason="the body is not here")
    return {**named, "block": block.to_json()}


def _fork_info(request: SignRequest, chain: ChainSpec) -> dict[str, Any]:
    epoch, _ = signed_for(request, chain)
    activations = chain.forks.activations
    current = chain.forks.at(epoch)
    previous = activations[max(activations.index(current) - 1, 0)]
    return {
        "fork": {
            "previous_version": "0x" + previous.version.hex(),
            "current_version": "0x" + current.version.hex(),
            "epoch": str(current.epoch),
        },
        "genesis_validators_root": "0x" + chain.forks.genesis_validators_root.hex(),
    }


def parse(value: object, *, pubkey: bytes, chain: ChainSpec) -> SignRequest:
    """What a received JSON object asks to have signed for the root key ``pubkey``.

    Everything that is signed is computed from the content; what the request says of its signing
    root and chain is compared only.

    Raises:
        KindUnsupported: deposits, and types that are unknown.
        SigningRootDiffers: the request speaks of another chain, or of another signing root.
        InputInvalid: not such a request; names the field.
    """
    request = _parsed(value, pubkey, chain)
    if not isinstance(request, SignRegistration):
        info = member(value, "fork_info", what="request")
        root = member(info, "genesis_validators_root", what="fork_info")
        if _root(root, "genesis_validators_root") != chain.forks.genesis_validators_root:
            raise SigningRootDiffers("check request", field="genesis_validators_root")
    if signed_for(request, chain)[0] >> _UINT64_BITS:
        raise InputInvalid("read request", field="epoch", reason="outside 64 bits")
    named = value.get("signingRoot") if isinstance(value, dict) else None
    named = named or (value.get("signing_root") if isinstance(value, dict) else None)
    if named is not None and _root(named, "signingRoot") != signing_root_of(request, chain):
        raise SigningRootDiffers("check request", field="signingRoot")
    return request


def _parsed(  # noqa: C901, PLR0911 - one line for each kind
    value: object, pubkey: bytes, chain: ChainSpec
) -> SignRequest:
    kind = member(value, "type", what="request")

    def of(name: str) -> Any:
        return member(value, name, what="request")

    match kind:
        case Kind.ATTESTATION:
            return SignAttestation(pubkey, AttestationData.from_json(of("attestation")))
        case Kind.BLOCK_V2:
            return SignBlock(pubkey, _header(of("beacon_block"), chain))
        case Kind.RANDAO_REVEAL:
            return SignRandao(pubkey, _number(of("randao_reveal"), "epoch"))
        case Kind.AGGREGATION_SLOT:
            return SignSelection(pubkey, _number(of("aggregation_slot"), "slot"))
        case Kind.AGGREGATE_AND_PROOF:
            return _aggregate(of("aggregate_and_proof"), pubkey, chain, version=None)
        case Kind.AGGREGATE_AND_PROOF_V2:
            outer = of("aggregate_and_proof")
            inner = member(outer, "data", what="aggregate_and_proof")
            return _aggregate(inner, pubkey, chain, version=_version(outer))
        case Kind.SYNC_COMMITTEE_MESSAGE:
            vote = of("sync_committee_message")
            root = member(vote, "beacon_block_root", what="sync_committee_message")
            slot = _number(vote, "slot")
            return SignSyncMessage(pubkey, slot, _root(root, "beacon_block_root"))
        case Kind.SYNC_COMMITTEE_SELECTION_PROOF:
            place = of("sync_aggregator_selection_data")
            return SignSyncSelection(
                pubkey, _number(place, "slot"), _number(place, "subcommittee_index")
            )
        case Kind.SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF:
            inner = of("contribution_and_proof")
            message = ContributionAndProof.from_json(inner, preset=chain.preset)
            return SignContribution(pubkey, message)
        case Kind.VALIDATOR_REGISTRATION:
            registration = ValidatorRegistration.from_json(of("validator_registration"))
            return SignRegistration(pubkey, registration)
        case Kind.VOLUNTARY_EXIT:
            return SignExit(pubkey, VoluntaryExit.from_json(of("voluntary_exit")))
        case _:
            raise KindUnsupported("read request", type=str(kind)[:64])


def _aggregate(
    value: object, pubkey: bytes, chain: ChainSpec, *, version: Fork | None
) -> SignAggregate:
    """The fork is the one of the aggregate's slot, which decides the domain, too."""
    aggregate = member(value, "aggregate", what="aggregate_and_proof")
    slot = _number(member(aggregate, "data", what="aggregate"), "slot")
    fork = chain.fork_at_slot(slot)
    if version is not None and version is not fork:
        raise InputInvalid("read request", field="version", expected=fork.value.upper())
    message = AggregateAndProof.from_json(fork, value, preset=chain.preset)
    return SignAggregate(pubkey, message)


def _header(value: object, chain: ChainSpec) -> BeaconBlockHeader:
    version = _version(value)
    if version.at_least(Fork.BELLATRIX):
        inner = member(value, "block_header", what="beacon_block")
        header = BeaconBlockHeader.from_json(inner, what="block_header")
    else:
        inner = member(value, "block", what="beacon_block")
        header = Proposal.from_json(version, False, inner, preset=chain.preset).header
    fork = chain.fork_at_slot(header.slot)
    if version is not fork:
        raise InputInvalid("read request", field="version", expected=fork.value.upper())
    return header


def _version(value: object) -> Fork:
    name = member(value, "version", what="request")
    try:
        return Fork(str(name).lower())
    except ValueError:
        raise InputInvalid("read request", field="version", got=str(name)[:32]) from None


def _number(value: object, name: str) -> int:
    return parse_uint64(member(value, name, what="request"), what=name)


def _root(text: object, name: str) -> bytes:
    return parse_hex(text, size_bytes=32, what=name)
