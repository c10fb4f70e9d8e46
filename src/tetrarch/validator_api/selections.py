"""Selection proofs: partial ones in, the group's out. They decide by lot who aggregates.

A validator client that holds shares cannot know whether its validators are drawn: only the
group's proof says so. It hands in what its shares signed and waits for what the cluster makes of
it. Every operator's client must ask, or nobody gets an answer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from tetrarch.duties.types import (
    AttesterDefinition,
    Duty,
    DutyType,
    PubKey,
    SelectionPayload,
    SyncCommitteeDefinition,
    SyncSelectionPayload,
)
from tetrarch.ethereum.spec.altair import SYNC_COMMITTEE_SUBNET_COUNT
from tetrarch.ethereum.spec.selection import subcommittees_of
from tetrarch.ssz.basic import bytes96, uint64
from tetrarch.ssz.container import Container, Record
from tetrarch.ssz.sequence import List
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiError, ApiRequest, json_answer
from tetrarch.validator_api.negotiation import SSZ
from tetrarch.validator_api.submissions import (
    ITEMS_MAX,
    D,
    Items,
    Lookups,
    Refused,
    Submission,
    listing_failures,
    read_items,
    store_items,
)

_Key: TypeAlias = tuple[PubKey, int]  # validator and sync subcommittee, if any

# The specification has no SSZ of these two. Their fields stand in the order of the beacon API's
# objects: Lodestar sends them so.
_BEACON = Container(
    "BeaconCommitteeSelection",
    {"validator_index": uint64, "slot": uint64, "selection_proof": bytes96},
)
_SYNC = Container(
    "SyncCommitteeSelection",
    {
        "validator_index": uint64,
        "slot": uint64,
        "subcommittee_index": uint64,
        "selection_proof": bytes96,
    },
)


async def beacon_committee(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST beacon_committee_selections: who aggregates attestations."""
    lookups = Lookups(api)

    async def judge(selection: Record) -> Submission:
        duty = Duty(selection.slot, DutyType.PREPARE_AGGREGATOR)
        index = selection.validator_index
        pubkey, _ = await _member(lookups, duty, index, AttesterDefinition)
        return Submission(
            duty=duty,
            pubkey=pubkey,
            payload=SelectionPayload(slot=selection.slot),
            signature=selection.selection_proof,
        )

    with listing_failures():
        return await _exchange(api, request, _BEACON, judge)


async def sync_committee(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST sync_committee_selections: who aggregates sync messages, in which subcommittee."""
    lookups = Lookups(api)

    async def judge(selection: Record) -> Submission:
        duty = Duty(selection.slot, DutyType.PREPARE_SYNC_CONTRIBUTION)
        index, subcommittee = selection.validator_index, selection.subcommittee_index
        pubkey, member = await _member(lookups, duty, index, SyncCommitteeDefinition)
        own: Sequence[int] = range(SYNC_COMMITTEE_SUBNET_COUNT)
        if member is not None:
            own = subcommittees_of(member.positions, preset=api.ports.chain.preset)
        if subcommittee not in own:
            raise Refused(f"validator {index} is not in sync subcommittee {subcommittee}")
        return Submission(
            duty=duty,
            pubkey=pubkey,
            payload=SyncSelectionPayload(slot=selection.slot, subcommittee_index=subcommittee),
            signature=selection.selection_proof,
        )

    with listing_failures():
        return await _exchange(api, request, _SYNC, judge)


async def _exchange(
    api: ValidatorApi,
    request: ApiRequest,
    kind: Container,
    judge: Callable[[Record], Awaitable[Submission]],
) -> ApiAnswer:
    """The selections of the request, stored, and then with the group's proofs, in their order."""
    kind_wanted = request.accepts_json_at_all()
    listed = List(kind, ITEMS_MAX)
    items = await read_items(api, request, from_json=kind.from_json, from_ssz=listed.decode)
    found = await _answer(api, items, await store_items(api, items, judge))
    if kind_wanted == SSZ:
        return ApiAnswer(content_type=SSZ, body=listed.encode(found))
    return json_answer({"data": [each.to_json() for each in found]})


async def _member(
    lookups: Lookups, duty: Duty, index: int, kind: type[D]
) -> tuple[PubKey, D | None]:
    """The validator and its definition; its key alone while the duty's epoch is not resolved.

    Clients may ask an epoch ahead, before anybody knows the duties. A proof for a slot without a
    duty is worth nothing to anybody.
    """
    try:
        member = await lookups.member(duty, index, kind)
    except ApiError as error:
        pubkey = lookups.api.ports.duties.pubkey_of(index)
        if error.status != 503 or pubkey is None:
            raise
        return pubkey, None
    return member.pubkey, member


async def _answer(
    api: ValidatorApi, items: Items[Record], submissions: Sequence[Submission]
) -> list[Record]:
    """The selections as they came, with the group's proofs; 408 when not all are there in time."""
    wanted: dict[Duty, list[_Key]] = {}
    for each in submissions:
        wanted.setdefault(each.duty, []).append(_key(each))
    try:
        async with asyncio.timeout(api.limits.request_s):
            proofs = {duty: await _proofs(api, duty, keys) for duty, keys in wanted.items()}
    except TimeoutError:
        raise ApiError(
            408, "too few nodes of the cluster have sent their selection proofs"
        ) from None
    return [
        selection.replace(selection_proof=proofs[each.duty][_key(each)])
        for (_, selection), each in zip(items.read, submissions, strict=True)
    ]


async def _proofs(api: ValidatorApi, duty: Duty, keys: Sequence[_Key]) -> dict[_Key, bytes]:
    """The group's proofs of ``keys``, waited for. They are mostly made together: few reads."""
    proofs: dict[_Key, bytes] = {}
    missing = list(dict.fromkeys(keys))
    while missing:
        found = await api.ports.aggregated.signed_of(duty)
        proofs |= {key: found[key].signature for key in missing if key in found}
        missing = [key for key in missing if key not in proofs]
        if missing:
            pubkey, sub_index = missing[0]
            signed = await api.ports.aggregated.await_signed(duty, pubkey, sub_index=sub_index)
            proofs[missing.pop(0)] = signed.signature
    return proofs


def _key(submission: Submission) -> _Key:
    return submission.pubkey, submission.payload.sub_index
