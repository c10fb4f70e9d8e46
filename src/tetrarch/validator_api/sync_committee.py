"""Sync committee messages and contributions: heads in, contributions out, signed ones in.

A message is a vote for a head as the client's beacon node sees it: nothing is agreed before, and
the group signs where enough nodes saw the same. Contributions are agreed on like aggregates.
"""

from tetrarch.duties.types import (
    ContributionPayload,
    Duty,
    DutyType,
    SyncCommitteeDefinition,
    SyncMessagePayload,
    UnsignedContribution,
)
from tetrarch.ethereum.spec.aggregates import ContributionAndProof, SignedContributionAndProof
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.selection import is_sync_aggregator, subcommittees_of
from tetrarch.ethereum.spec.values import Fork, parse_hex
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    PassThrough,
    bad_request,
    json_answer,
)
from tetrarch.validator_api.negotiation import SSZ
from tetrarch.validator_api.submissions import (
    Lookups,
    Refused,
    Submission,
    differences,
    listing_failures,
    read_items,
    read_ssz_list,
    store_items,
)


async def submit_messages(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST pool/sync_committees."""
    kind = spec_types(Fork.ALTAIR, api.ports.chain.preset).SyncCommitteeMessage
    lookups = Lookups(api)

    async def judge(message: SyncCommitteeMessage) -> Submission:
        duty = Duty(message.slot, DutyType.SYNC_MESSAGE)
        member = await lookups.member(duty, message.validator_index, SyncCommitteeDefinition)
        payload = SyncMessagePayload(slot=message.slot, beacon_block_root=message.beacon_block_root)
        return Submission(
            duty=duty, pubkey=member.pubkey, payload=payload, signature=message.signature
        )

    with listing_failures():
        items = await read_items(
            api,
            request,
            from_json=SyncCommitteeMessage.from_json,
            from_ssz=lambda body: read_ssz_list(body, kind, SyncCommitteeMessage.from_ssz),
        )
        await store_items(api, items, judge)
    return ApiAnswer()


async def produce_contribution(api: ValidatorApi, request: ApiRequest) -> ApiAnswer | PassThrough:
    """GET sync_committee_contribution: the agreed one.

    Where no validator of the cluster is in the subcommittee there is nothing to agree on.

    Raises:
        ApiError: 404, none of them was drawn to aggregate, or our client asks for no selections;
            408, there is no agreement in time.
    """
    kind = request.accepts_json_at_all()
    slot, subcommittee = request.integer("slot"), request.integer("subcommittee_index")
    with bad_request():
        text = request.one("beacon_block_root")
        root = parse_hex(text, size_bytes=32, what="beacon_block_root")
    duty = Duty(slot, DutyType.SYNC_CONTRIBUTION)
    preset = api.ports.chain.preset
    members = [
        each
        for each in await api.definitions(duty)
        if isinstance(each, SyncCommitteeDefinition)
        and subcommittee in subcommittees_of(each.positions, preset=preset)
    ]
    if not members:
        return PassThrough.BEACON_NODE
    if (reason := api.why_not_drawn(duty)) is not None:
        raise ApiError(404, reason)
    proofs = await api.ports.aggregated.signed_of(Duty(slot, DutyType.PREPARE_SYNC_CONTRIBUTION))
    if not any(
        is_sync_aggregator(proofs[each.pubkey, subcommittee].signature, preset=preset)
        if (each.pubkey, subcommittee) in proofs
        else True  # not known yet
        for each in members
    ):
        raise ApiError(404, f"no validator of this cluster was drawn to aggregate in slot {slot}")
    awaited = api.ports.decided.await_sync_contribution(slot, subcommittee, root)
    contribution = await api.within(duty, awaited)
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, body=contribution.to_ssz())
    return json_answer({"data": contribution.to_json()})


async def submit_contributions(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST contribution_and_proofs."""
    preset = api.ports.chain.preset
    kind = spec_types(Fork.ALTAIR, preset).SignedContributionAndProof
    lookups = Lookups(api)

    def from_ssz(data: bytes) -> SignedContributionAndProof:
        return SignedContributionAndProof.from_ssz(data, preset=preset)

    async def judge(signed: SignedContributionAndProof) -> Submission:
        return await _judge(lookups, signed)

    with listing_failures():
        items = await read_items(
            api,
            request,
            from_json=lambda value: SignedContributionAndProof.from_json(value, preset=preset),
            from_ssz=lambda body: read_ssz_list(body, kind, from_ssz),
        )
        await store_items(api, items, judge)
    return ApiAnswer()


async def _judge(lookups: Lookups, signed: SignedContributionAndProof) -> Submission:
    message = signed.message
    subcommittee = message.contribution.subcommittee_index
    duty = Duty(message.slot, DutyType.SYNC_CONTRIBUTION)
    member = await lookups.member(duty, message.aggregator_index, SyncCommitteeDefinition)
    if (reason := lookups.api.why_not_drawn(duty)) is not None:
        raise Refused(reason)
    agreed = await lookups.decided(duty, member.pubkey, subcommittee)
    if not isinstance(agreed, UnsignedContribution):
        raise Refused(
            f"the cluster did not agree that validator {member.validator_index} aggregates for"
            f" sync subcommittee {subcommittee} in slot {message.slot}"
        )
    names = _differences(message, agreed.message)
    if names:
        raise Refused(f"not what the cluster agreed to contribute: {', '.join(names)} differs")
    payload = ContributionPayload(message=agreed.message)
    return Submission(duty=duty, pubkey=member.pubkey, payload=payload, signature=signed.signature)


def _differences(message: ContributionAndProof, agreed: ContributionAndProof) -> list[str]:
    own = ("aggregator_index", "selection_proof")
    of_contribution = ("beacon_block_root", "aggregation_bits", "signature")
    return [
        *differences(message, agreed, own),
        *differences(message.contribution, agreed.contribution, of_contribution),
    ]
