"""Attestation data out, signed attestations in.

A partial signature is stored only over data that the cluster agreed on: what a client signed is
compared with DutyDB field by field, and the signature with this node's public share.
"""

from collections.abc import Mapping

from tetrarch.duties.errors import DutyUnavailable
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    DutyType,
    PubKey,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.attestations import (
    Attestation,
    SingleAttestation,
    SubmittedAttestation,
    submissions_from_ssz,
)
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import (
    ApiAnswer,
    ApiRequest,
    PassThrough,
    describe,
    json_answer,
)
from tetrarch.validator_api.negotiation import JSON, SSZ
from tetrarch.validator_api.submissions import (
    Items,
    Lookups,
    Refused,
    Submission,
    differences,
    listing_failures,
    read_items,
    require_fork,
    store_items,
)


async def produce_data(api: ValidatorApi, request: ApiRequest) -> ApiAnswer | PassThrough:
    """GET attestation_data: the agreed data, once there is agreement.

    In a slot in which no validator of the cluster attests there is nothing to agree on, and the
    beacon node's own answer is handed on at once. Nothing can come of it: an attestation for
    such a slot is refused below.
    """
    kind = request.accepts(JSON, SSZ)
    slot = request.integer("slot")
    has_committee = request.one("committee_index") is not None
    committee_index = request.integer("committee_index") if has_committee else 0
    duty = Duty(slot, DutyType.ATTESTER)
    if not await api.definitions(duty):
        return PassThrough.BEACON_NODE
    awaited = api.ports.decided.await_attestation(slot, committee_index)
    data = await api.within(duty, awaited)
    if kind == SSZ:
        return ApiAnswer(content_type=SSZ, body=data.to_ssz())
    return json_answer({"data": data.to_json()})


async def submit_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST pool/attestations, version 1: before Electra, JSON, no fork named."""
    with listing_failures():
        return await _submit(api, request, Fork.PHASE0, named=request.fork())


async def submit_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST pool/attestations, version 2: the header names the fork, the body is JSON or SSZ."""
    with listing_failures():
        fork = request.required_fork()
        return await _submit(api, request, fork, named=fork)


async def _submit(
    api: ValidatorApi, request: ApiRequest, shape: Fork, *, named: Fork | None
) -> ApiAnswer:
    is_single = shape.at_least(Fork.ELECTRA)
    items: Items[SubmittedAttestation] = await read_items(
        api,
        request,
        from_json=SingleAttestation.from_json if is_single else Attestation.from_json,
        from_ssz=lambda body: submissions_from_ssz(shape, body),
    )
    workflow = _Workflow(api)

    async def judge(attestation: SubmittedAttestation) -> Submission:
        require_fork(api, attestation.data.slot, shape, named)
        return await workflow.judge(attestation)

    await store_items(api, items, judge)
    return ApiAnswer()


class _Workflow:
    """Judges attestations; what they have in common is asked for once."""

    def __init__(self, api: ValidatorApi) -> None:
        self._api = api
        self._lookups = Lookups(api)
        self._agreed: dict[tuple[int, int], AttestationData] = {}

    async def judge(self, attestation: SubmittedAttestation) -> Submission:
        """The validator that attests, to what was agreed."""
        data = attestation.data
        duty = Duty(data.slot, DutyType.ATTESTER)
        attesters = await self._lookups.members(duty, AttesterDefinition)
        if not attesters:
            raise Refused(f"no validator of this cluster attests in slot {data.slot}")
        agreed = await self._agreed_data(duty, attestation.committee_index)
        if data != agreed:
            names = ("slot", "index", "beacon_block_root", "source", "target")
            differ = ", ".join(differences(data, agreed, names))
            raise Refused(f"not what the cluster agreed to attest: {differ} differs")
        if isinstance(attestation, SingleAttestation):
            pubkey = _by_index(attesters, attestation)
        else:
            pubkey = await self._by_place(attestation)
        payload = AttestationPayload(data=data)
        return Submission(
            duty=duty, pubkey=pubkey, payload=payload, signature=attestation.signature
        )

    async def _agreed_data(self, duty: Duty, committee_index: int) -> AttestationData:
        key = (duty.slot, committee_index)
        if key not in self._agreed:
            awaited = self._api.ports.decided.await_attestation(*key)
            self._agreed[key] = await self._api.within(duty, awaited)
        return self._agreed[key]

    async def _by_place(self, attestation: Attestation) -> PubKey:
        slot, committee = attestation.data.slot, attestation.committee_index
        try:
            position = attestation.validator_committee_index
        except InputInvalid as error:
            raise Refused(describe(error)) from None
        decided = self._api.ports.decided
        try:
            return await decided.pub_key_by_attestation(slot, committee, position)
        except DutyUnavailable:
            place = f"member {position} of committee {committee} in slot {slot}"
            raise Refused(f"{place} is no validator of this cluster") from None


def _by_index(
    attesters: Mapping[int, AttesterDefinition], attestation: SingleAttestation
) -> PubKey:
    found = attesters.get(attestation.attester_index)
    if found is None:
        raise Refused(
            f"validator {attestation.attester_index} of this cluster does not attest in slot"
            f" {attestation.data.slot}"
        )
    if found.committee_index != attestation.committee_index:
        raise Refused(
            f"validator {found.validator_index} attests in committee {found.committee_index}"
        )
    return found.pubkey
