"""Aggregated attestations out, signed aggregates in.

The cluster agrees on one aggregate for each of its aggregators, with the group's selection proof
in it. A client signs that message as it is.
"""

from tetrarch.duties.types import (
    AggregatePayload,
    AttesterDefinition,
    Duty,
    DutyType,
    UnsignedAggregate,
)
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    SignedAggregateAndProof,
)
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.selection import is_aggregator
from tetrarch.ethereum.spec.values import Fork, parse_hex
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import (
    VERSION_HEADER,
    ApiAnswer,
    ApiError,
    ApiRequest,
    PassThrough,
    bad_request,
    json_answer,
)
from tetrarch.validator_api.negotiation import JSON, SSZ
from tetrarch.validator_api.submissions import (
    Lookups,
    Refused,
    Submission,
    differences,
    listing_failures,
    read_items,
    read_ssz_list,
    require_fork,
    store_items,
)


async def produce_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer | PassThrough:
    """GET aggregate_attestation, version 1: before Electra, where the data names the committee."""
    kind = request.accepts(JSON, SSZ)
    slot = request.integer("slot")
    fork = api.ports.chain.fork_at_slot(slot)
    if fork.at_least(Fork.ELECTRA):
        raise ApiError(404, f"{fork} has no version 1 of this endpoint: use version 2")
    aggregate = await _agreed(api, request, slot, None)
    if isinstance(aggregate, PassThrough):
        return aggregate
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, body=aggregate.to_ssz())
    return json_answer({"data": aggregate.to_json()})


async def produce_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer | PassThrough:
    """GET aggregate_attestation, version 2: every fork, which a header names."""
    kind = request.accepts(JSON, SSZ)
    slot, committee_index = request.integer("slot"), request.integer("committee_index")
    aggregate = await _agreed(api, request, slot, committee_index)
    if isinstance(aggregate, PassThrough):
        return aggregate
    version = api.ports.chain.fork_at_slot(slot).value
    headers = {VERSION_HEADER: version}
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, headers=headers, body=aggregate.to_ssz())
    return json_answer({"version": version, "data": aggregate.to_json()}, headers=headers)


async def _agreed(
    api: ValidatorApi, request: ApiRequest, slot: int, committee_index: int | None
) -> Aggregate | PassThrough:
    """The agreed aggregate. The cluster has none where no validator of it attests.

    Raises:
        ApiError: 404, none of them was drawn to aggregate, or our client asks for no selections;
            408, there is no agreement in time.
    """
    with bad_request():
        text = request.one("attestation_data_root")
        root = parse_hex(text, size_bytes=32, what="attestation_data_root")
    duty = Duty(slot, DutyType.AGGREGATOR)
    members = [
        each
        for each in await api.definitions(duty)
        if isinstance(each, AttesterDefinition) and committee_index in (None, each.committee_index)
    ]
    if not members:
        return PassThrough.BEACON_NODE
    if (reason := api.why_not_drawn(duty)) is not None:
        raise ApiError(404, reason)
    proofs = await api.ports.aggregated.signed_of(Duty(slot, DutyType.PREPARE_AGGREGATOR))
    if not any(
        is_aggregator(each.committee_length, proofs[each.pubkey, 0].signature)
        if (each.pubkey, 0) in proofs
        else True  # not known yet
        for each in members
    ):
        raise ApiError(404, f"no validator of this cluster was drawn to aggregate in slot {slot}")
    awaited = api.ports.decided.await_agg_attestation(slot, root, committee_index)
    return await api.within(duty, awaited)


async def submit_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST aggregate_and_proofs, version 1: before Electra, no fork named."""
    with listing_failures():
        return await _submit(api, request, Fork.PHASE0, named=request.fork())


async def submit_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST aggregate_and_proofs, version 2: the header names the fork."""
    with listing_failures():
        fork = request.required_fork()
        return await _submit(api, request, fork, named=fork)


async def _submit(
    api: ValidatorApi, request: ApiRequest, shape: Fork, *, named: Fork | None
) -> ApiAnswer:
    preset = api.ports.chain.preset
    kind = spec_types(shape, preset).SignedAggregateAndProof

    def from_ssz(data: bytes) -> SignedAggregateAndProof:
        return SignedAggregateAndProof.from_ssz(shape, data, preset=preset)

    items = await read_items(
        api,
        request,
        from_json=lambda value: SignedAggregateAndProof.from_json(shape, value, preset=preset),
        from_ssz=lambda body: read_ssz_list(body, kind, from_ssz),
    )
    lookups = Lookups(api)

    async def judge(signed: SignedAggregateAndProof) -> Submission:
        require_fork(api, signed.message.slot, shape, named)
        return await _judge(lookups, signed)

    await store_items(api, items, judge)
    return ApiAnswer()


async def _judge(lookups: Lookups, signed: SignedAggregateAndProof) -> Submission:
    message = signed.message
    duty = Duty(message.slot, DutyType.AGGREGATOR)
    member = await lookups.member(duty, message.aggregator_index, AttesterDefinition)
    if (reason := lookups.api.why_not_drawn(duty)) is not None:
        raise Refused(reason)
    agreed = await lookups.decided(duty, member.pubkey)
    if not isinstance(agreed, UnsignedAggregate):
        raise Refused(
            f"the cluster did not agree that validator {member.validator_index} aggregates in slot"
            f" {message.slot}"
        )
    names = _differences(message, agreed.message)
    if names:
        raise Refused(f"not what the cluster agreed to aggregate: {', '.join(names)} differs")
    payload = AggregatePayload(message=agreed.message)
    return Submission(duty=duty, pubkey=member.pubkey, payload=payload, signature=signed.signature)


def _differences(message: AggregateAndProof, agreed: AggregateAndProof) -> list[str]:
    """What differs, but for the fork: before Electra the shape of all forks is the same."""
    own = ("aggregator_index", "selection_proof")
    of_aggregate = ("aggregation_bits", "committee_bits", "data", "signature")
    return [
        *differences(message, agreed, own),
        *differences(message.aggregate, agreed.aggregate, of_aggregate),
    ]
