"""Blocks out, signed blocks in.

Asking for a block gives us the partial randao reveal; the block comes once the cluster agreed on
one. A published block must be that block: its root, form and fork.
"""

from collections.abc import Callable

from tetrarch.duties.types import (
    Duty,
    DutyType,
    ProposalPayload,
    ProposerDefinition,
    RandaoPayload,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal
from tetrarch.ethereum.spec.values import Fork, parse_hex, parse_uint64
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import (
    VERSION_HEADER,
    ApiAnswer,
    ApiError,
    ApiRequest,
    bad_request,
    describe,
    json_answer,
)
from tetrarch.validator_api.negotiation import JSON, SSZ
from tetrarch.validator_api.submissions import Submission, store_one

BLINDED_HEADER = "Eth-Execution-Payload-Blinded"
PAYLOAD_VALUE_HEADER = "Eth-Execution-Payload-Value"
BLOCK_VALUE_HEADER = "Eth-Consensus-Block-Value"
# Every node has its own beacon node and would name another value for the same block.
VALUE = "1"


async def produce_v3(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET v3 blocks: the agreed block, full or blinded.

    ``graffiti`` and ``builder_boost_factor`` of the client are read and ignored: the cluster
    proposes one block, which each node's configuration shapes.
    """
    kind = request.accepts(JSON, SSZ)
    boost = request.one("builder_boost_factor")
    if boost is not None:
        with bad_request():
            parse_uint64(boost, what="builder_boost_factor")
    proposal = await _produce(api, request)
    headers = {
        VERSION_HEADER: proposal.fork.value,
        BLINDED_HEADER: "true" if proposal.blinded else "false",
        PAYLOAD_VALUE_HEADER: VALUE,
        BLOCK_VALUE_HEADER: VALUE,
    }
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, headers=headers, body=proposal.ssz)
    value = {
        "version": proposal.fork.value,
        "execution_payload_blinded": proposal.blinded,
        "execution_payload_value": VALUE,
        "consensus_block_value": VALUE,
        "data": await api.ports.compute.run(proposal.to_json),
    }
    return json_answer(value, headers=headers)


async def produce_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET v1 blocks: Phase 0 alone has it."""
    fork = api.ports.chain.fork_at_slot(request.integer("slot"))
    if fork.at_least(Fork.ALTAIR):
        raise ApiError(404, f"{fork} has no version 1 of this endpoint: use version 3")
    return await produce_v2(api, request)


async def produce_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET v2 blocks: the agreed block where it is a full one, before Electra."""
    kind = request.accepts(JSON, SSZ)
    slot = request.integer("slot")
    fork = api.ports.chain.fork_at_slot(slot)
    if fork.at_least(Fork.ELECTRA):
        raise ApiError(404, f"{fork} has no version 2 of this endpoint: use version 3")
    proposal = await _produce(api, request)
    if proposal.blinded:
        raise ApiError(400, "the agreed block is blinded: use version 3 of this endpoint")
    headers = {VERSION_HEADER: proposal.fork.value}
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, headers=headers, body=proposal.ssz)
    value = {
        "version": proposal.fork.value,
        # Not of the API, but Lodestar's clients need one or the other (1.5: block_value).
        "block_value": VALUE,
        "execution_payload_value": VALUE,
        "data": await api.ports.compute.run(proposal.to_json),
    }
    return json_answer(value, headers=headers)


async def produce_blinded_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET v1 blinded_blocks: the agreed block where it is a blinded one, Bellatrix to Deneb."""
    kind = request.accepts(JSON, SSZ)
    fork = api.ports.chain.fork_at_slot(request.integer("slot"))
    if not fork.at_least(Fork.BELLATRIX) or fork.at_least(Fork.ELECTRA):
        raise ApiError(404, f"{fork} has no blinded_blocks: use version 3 of blocks")
    proposal = await _produce(api, request)
    if not proposal.blinded:
        raise ApiError(400, "the agreed block is not blinded: use version 3 of blocks")
    headers = {VERSION_HEADER: fork.value}
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, headers=headers, body=proposal.ssz)
    data = await api.ports.compute.run(proposal.to_json)
    return json_answer({"version": fork.value, "data": data}, headers=headers)


async def gone(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """Versions that none of the known forks has; the beacon node's would be nobody's choice."""
    del api, request
    raise ApiError(404, "not served: ask for blocks at /eth/v3/validator/blocks/{slot}")


async def _produce(api: ValidatorApi, request: ApiRequest) -> Proposal:
    slot = request.integer("slot")
    duty = Duty(slot, DutyType.PROPOSER)
    with bad_request():
        text = request.one("randao_reveal")
        reveal = parse_hex(text, size_bytes=96, what="randao_reveal")
    pubkey = (await _proposer(api, slot)).pubkey
    payload = RandaoPayload(epoch=api.ports.chain.epoch_of(slot))
    submission = Submission(
        duty=Duty(slot, DutyType.RANDAO), pubkey=pubkey, payload=payload, signature=reveal
    )
    await store_one(api, submission, what="randao reveal")
    _, proposal = await api.within(duty, api.ports.decided.await_beacon_block(slot))
    return proposal


async def publish_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST v1 blocks: a full block; JSON without a header takes its slot's fork."""
    return await _publish(api, request, blinded=False, fork=request.fork())


async def publish_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST v2 blocks: a full block of the fork in the header."""
    return await _publish(api, request, blinded=False, fork=request.required_fork())


async def publish_blinded_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST v1 blinded_blocks."""
    return await _publish(api, request, blinded=True, fork=request.fork())


async def publish_blinded_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST v2 blinded_blocks."""
    return await _publish(api, request, blinded=True, fork=request.required_fork())


async def _publish(
    api: ValidatorApi, request: ApiRequest, *, blinded: bool, fork: Fork | None
) -> ApiAnswer:
    read = _reader(api, request, blinded=blinded, fork=fork)
    try:
        signed = await api.ports.compute.run(read)
    except InputInvalid as error:
        raise ApiError(400, describe(error)) from None
    slot = signed.header.slot
    await _proposer(api, slot)
    duty = Duty(slot, DutyType.PROPOSER)
    pubkey, agreed = await api.within(duty, api.ports.decided.await_beacon_block(slot))
    _require_agreed(signed, agreed)
    payload = ProposalPayload(fork=agreed.fork, blinded=agreed.blinded, header=agreed.header)
    submission = Submission(duty=duty, pubkey=pubkey, payload=payload, signature=signed.signature)
    await store_one(api, submission, what="block's signature")
    return ApiAnswer()


def _reader(
    api: ValidatorApi, request: ApiRequest, *, blinded: bool, fork: Fork | None
) -> Callable[[], SignedProposal]:
    """What decodes the body; runs on the compute port, for a block may be large."""
    preset = api.ports.chain.preset
    if request.body_type() == SSZ:
        if fork is None:
            raise ApiError(400, f"header {VERSION_HEADER} is missing")
        return lambda: SignedProposal.from_ssz(fork, blinded, request.body, preset=preset)

    def read() -> SignedProposal:
        value = request.json()
        known = fork if fork is not None else _fork_of(api, value)
        return SignedProposal.from_json(known, blinded, value, preset=preset)

    return read


def _fork_of(api: ValidatorApi, value: object) -> Fork:
    """The fork in force in the slot of a signed block, found before the block is read."""
    while isinstance(value, dict):
        if "slot" in value:
            return api.ports.chain.fork_at_slot(parse_uint64(value["slot"], what="slot"))
        value = value.get("signed_block", value.get("message"))
    raise ApiError(400, "the body is no signed block")


def _require_agreed(signed: SignedProposal, agreed: Proposal) -> None:
    if signed.fork is not agreed.fork:
        raise ApiError(400, f"the block is of {signed.fork}, the agreed one of {agreed.fork}")
    if signed.blinded is not agreed.blinded:
        form = "blinded" if agreed.blinded else "full"
        raise ApiError(400, f"the agreed block is {form}: use the other publish endpoint")
    if signed.header != agreed.header:
        names = ("slot", "proposer_index", "parent_root", "state_root", "body_root")
        differ = [
            name for name in names if getattr(signed.header, name) != getattr(agreed.header, name)
        ]
        raise ApiError(
            400, f"not the block that the cluster agreed on: {', '.join(differ)} differs"
        )


async def _proposer(api: ValidatorApi, slot: int) -> ProposerDefinition:
    definitions = await api.definitions(Duty(slot, DutyType.PROPOSER))
    proposers = [each for each in definitions if isinstance(each, ProposerDefinition)]
    if not proposers:
        raise ApiError(400, f"no validator of this cluster proposes in slot {slot}")
    return proposers[0]
