"""Attestation data out, signed attestations in.

A partial signature is stored only over data that the cluster agreed on: what a client signed is
compared with DutyDB field by field, and the signature with this node's public share.
"""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tetrarch.duties.errors import DutyUnavailable
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    DutyType,
    PartialSet,
    PartialSignature,
    PubKey,
)
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.attestations import (
    Attestation,
    SingleAttestation,
    SubmittedAttestation,
    submissions_from_ssz,
)
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.validator_api.api import SignatureClaim, ValidatorApi
from tetrarch.validator_api.messages import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    ItemFailure,
    PassThrough,
    bad_request,
    describe,
    json_answer,
)
from tetrarch.validator_api.negotiation import JSON, SSZ

ATTESTATIONS_MAX = 65_536
T = TypeVar("T")


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
    with _listing_failures():
        return await _submit(api, request, Fork.PHASE0, named_fork=request.fork())


async def submit_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST pool/attestations, version 2: the header names the fork, the body is JSON or SSZ."""
    with _listing_failures():
        fork = request.required_fork()
        return await _submit(api, request, fork, named_fork=fork)


@contextmanager
def _listing_failures() -> Iterator[None]:
    """A pool's 400 always has a list of failures, though it be empty."""
    try:
        yield
    except ApiError as error:
        if error.status == 400 and error.failures is None:
            raise ApiError(400, error.message, failures=()) from None
        raise


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An attestation over agreed data, its signature not yet verified."""

    index: int
    pubkey: PubKey
    attestation: SubmittedAttestation


class _Refused(Exception):
    """Why one attestation is not accepted."""


async def _submit(
    api: ValidatorApi, request: ApiRequest, shape: Fork, *, named_fork: Fork | None
) -> ApiAnswer:
    """Store what is right, report what is not: each attestation is judged by itself."""
    failures: list[ItemFailure] = []
    accepted: list[_Accepted] = []
    workflow = _Workflow(api)
    try:
        async with asyncio.timeout(api.limits.request_s):
            for index, parsed in _parse(request, shape):
                if isinstance(parsed, str):
                    failures.append(ItemFailure(index, parsed))
                    continue
                try:
                    _require_fork(api, parsed, shape, named_fork)
                    pubkey = await _judge(workflow, parsed)
                    accepted.append(_Accepted(index, pubkey, parsed))
                except _Refused as refused:
                    failures.append(ItemFailure(index, str(refused)))
    except TimeoutError:
        raise ApiError(408, "the cluster has not agreed on this attestation data") from None
    verified = await _verify(workflow, accepted, failures)
    for partial_set in _partial_sets(api, verified, failures):
        await api.submitted.emit(partial_set)
    if failures:
        failures.sort(key=lambda failure: failure.index)
        raise ApiError(400, "some attestations were refused", failures=tuple(failures))
    return ApiAnswer()


class _Workflow:
    """What one request asks of the workflow, asked once: its attestations mostly share a slot."""

    def __init__(self, api: ValidatorApi) -> None:
        self.api = api
        self._definitions: dict[int, list[AttesterDefinition]] = {}
        self._agreed: dict[tuple[int, int], AttestationData] = {}
        self._signing_roots: dict[AttestationData, bytes] = {}

    async def definitions(self, slot: int) -> list[AttesterDefinition]:
        """The cluster's attesters in ``slot``."""
        if slot not in self._definitions:
            found = await _refusing(self.api.definitions(Duty(slot, DutyType.ATTESTER)))
            self._definitions[slot] = [
                each for each in found if isinstance(each, AttesterDefinition)
            ]
        return self._definitions[slot]

    async def agreed(self, slot: int, committee_index: int) -> AttestationData:
        """The agreed data, waited for."""
        key = (slot, committee_index)
        if key not in self._agreed:
            awaited = self.api.ports.decided.await_attestation(slot, committee_index)
            duty = Duty(slot, DutyType.ATTESTER)
            self._agreed[key] = await _refusing(self.api.within(duty, awaited))
        return self._agreed[key]

    def signing_root(self, data: AttestationData) -> bytes:
        """What an attester's share signs."""
        if data not in self._signing_roots:
            self._signing_roots[data] = self.api.ports.chain.forks.signing_root(
                DomainType.BEACON_ATTESTER, data.target.epoch, data.hash_tree_root()
            )
        return self._signing_roots[data]


async def _refusing(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except ApiError as error:
        raise _Refused(error.message) from None


def _parse(request: ApiRequest, shape: Fork) -> list[tuple[int, SubmittedAttestation | str]]:
    """Each attestation with its place, or what is wrong with it."""
    if request.body_type() == SSZ:
        with bad_request():
            return list(enumerate(submissions_from_ssz(shape, request.body)))
    items = request.json()
    if not isinstance(items, list) or len(items) > ATTESTATIONS_MAX:
        raise ApiError(400, f"expected an array of at most {ATTESTATIONS_MAX} attestations")
    read = SingleAttestation.from_json if shape.at_least(Fork.ELECTRA) else Attestation.from_json
    parsed: list[tuple[int, SubmittedAttestation | str]] = []
    for index, item in enumerate(items):
        try:
            parsed.append((index, read(item)))
        except InputInvalid as error:
            parsed.append((index, describe(error)))
    return parsed


def _require_fork(
    api: ValidatorApi, attestation: SubmittedAttestation, shape: Fork, named: Fork | None
) -> None:
    fork = api.ports.chain.fork_at_slot(attestation.data.slot)
    if named is not None and named is not fork:
        raise _Refused(f"slot {attestation.data.slot} is in {fork}, the header says {named}")
    if fork.at_least(Fork.ELECTRA) and not shape.at_least(Fork.ELECTRA):
        raise _Refused(f"slot {attestation.data.slot} is in {fork}: use version 2 of the endpoint")


async def _judge(workflow: _Workflow, attestation: SubmittedAttestation) -> PubKey:
    """The validator that attests, to what was agreed."""
    data = attestation.data
    definitions = await workflow.definitions(data.slot)
    if not definitions:
        raise _Refused(f"no validator of this cluster attests in slot {data.slot}")
    agreed = await workflow.agreed(data.slot, attestation.committee_index)
    if data != agreed:
        names = ", ".join(_differences(data, agreed))
        raise _Refused(f"not what the cluster agreed to attest: {names} differs")
    return await _validator_of(workflow.api, attestation, definitions)


async def _validator_of(
    api: ValidatorApi, attestation: SubmittedAttestation, definitions: list[AttesterDefinition]
) -> PubKey:
    """Which validator of the cluster attests: by its place in the committee, or by its index."""
    slot = attestation.data.slot
    if isinstance(attestation, SingleAttestation):
        return _by_index(definitions, attestation)
    try:
        position = attestation.validator_committee_index
    except InputInvalid as error:
        raise _Refused(describe(error)) from None
    try:
        return await api.ports.decided.pub_key_by_attestation(
            slot, attestation.committee_index, position
        )
    except DutyUnavailable:
        place = f"member {position} of committee {attestation.committee_index} in slot {slot}"
        raise _Refused(f"{place} is no validator of this cluster") from None


def _by_index(definitions: list[AttesterDefinition], attestation: SingleAttestation) -> PubKey:
    for each in definitions:
        if each.validator_index != attestation.attester_index:
            continue
        if each.committee_index != attestation.committee_index:
            raise _Refused(
                f"validator {each.validator_index} attests in committee {each.committee_index}"
            )
        return each.pubkey
    raise _Refused(
        f"validator {attestation.attester_index} of this cluster does not attest in slot"
        f" {attestation.data.slot}"
    )


def _differences(data: AttestationData, agreed: AttestationData) -> list[str]:
    names = ("slot", "index", "beacon_block_root", "source", "target")
    return [name for name in names if getattr(data, name) != getattr(agreed, name)]


async def _verify(
    workflow: _Workflow, accepted: list[_Accepted], failures: list[ItemFailure]
) -> list[_Accepted]:
    api = workflow.api
    claims = [
        SignatureClaim(
            pubkey=each.pubkey,
            signing_root=workflow.signing_root(each.attestation.data),
            signature=each.attestation.signature,
        )
        for each in accepted
    ]
    false = set(await api.find_false(claims))
    for position in sorted(false):
        share = api.share_of(accepted[position].pubkey).hex()
        failures.append(
            ItemFailure(accepted[position].index, f"the signature is not by key share 0x{share}")
        )
    return [each for position, each in enumerate(accepted) if position not in false]


def _partial_sets(
    api: ValidatorApi, verified: list[_Accepted], failures: list[ItemFailure]
) -> list[PartialSet]:
    """One set per slot, ordered by key. A validator repeats itself, or contradicts itself."""
    by_slot: dict[int, dict[PubKey, PartialSignature]] = {}
    for each in verified:
        partials = by_slot.setdefault(each.attestation.data.slot, {})
        partial = PartialSignature(
            pubkey=each.pubkey,
            share_index=api.ports.keys.share_index,
            payload=AttestationPayload(data=each.attestation.data),
            signature=each.attestation.signature,
        )
        if partials.setdefault(each.pubkey, partial) != partial:
            failures.append(ItemFailure(each.index, "the validator attests twice in the request"))
    return [
        PartialSet(
            duty=Duty(slot, DutyType.ATTESTER),
            partials=tuple(partials[pubkey] for pubkey in sorted(partials)),
        )
        for slot, partials in sorted(by_slot.items())
    ]
