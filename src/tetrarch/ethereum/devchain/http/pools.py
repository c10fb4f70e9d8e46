"""Endpoints for the pools: votes, slashings, exits, credential changes, sync messages."""

from collections.abc import Callable
from functools import partial
from operator import itemgetter
from typing import Any

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain import aggregates
from tetrarch.ethereum.devchain.http.answers import (
    SSZ,
    VERSION,
    Face,
    NotFound,
    WrongMediaType,
    check_version,
    data_answer,
    error_answer,
    failures_answer,
    query_number,
    read_list,
    read_value,
    versioned_answer,
)
from tetrarch.ethereum.spec.values import parse_hex
from tetrarch.ssz.sequence import List

ITEMS_MAX = 1 << 17
Submit = Callable[[Any], None]
Expect = Callable[[list[Any]], None]


async def _submit_each(
    request: web.Request,
    kind: Any,
    submit: Submit,
    *,
    check: Callable[[], None] | None = None,
    expect: Expect | None = None,
) -> web.Response:
    """Take every item of the body's list by itself; what fails is listed by its index.

    A body that is no list at all, or a header that ``check`` refuses, is refused as a whole,
    with an empty list of failures.
    ``expect`` is told all well-formed items before the first is taken.
    """
    failures: list[tuple[int, Exception]] = []
    try:
        if check is not None:
            check()
        items = await _read_items(request, kind)
    except WrongMediaType:
        raise
    except InputInvalid as error:
        return error_answer(400, str(error), failures=[])
    values: list[tuple[int, Any]] = []
    for index, read in enumerate(items):
        try:
            values.append((index, read()))
        except InputInvalid as error:
            failures.append((index, error))
    if expect is not None:
        expect([value for _, value in values])
    for index, value in values:
        try:
            submit(value)
        except InputInvalid as error:
            failures.append((index, error))
    return failures_answer(sorted(failures, key=itemgetter(0)))


async def _read_items(request: web.Request, kind: Any) -> list[Callable[[], Any]]:
    """What reads each item of the body, SSZ or JSON."""
    if request.content_type == SSZ:
        values = List(kind, ITEMS_MAX).decode(await request.read())
        return [partial(_same, value) for value in values]
    items = await read_list(request, length_max=ITEMS_MAX)
    return [partial(kind.from_json, item) for item in items]


def _same(value: Any) -> Any:
    return value


async def submit_attestations(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1 and /eth/v2/beacon/pool/attestations."""
    required = request.path.startswith("/eth/v2")
    types = face.chain.rules.types
    kind = types.SingleAttestation if face.chain.rules.is_electra else types.Attestation
    return await _submit_each(
        request,
        kind,
        lambda item: face.chain.submit_attestation(item, face.now_s()),
        check=lambda: check_version(face, request, required=required),
        expect=lambda items: face.chain.expect_attestations(items, face.now_s()),
    )


async def attestations(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1 and /eth/v2/beacon/pool/attestations."""
    slot = query_number(request, "slot") if "slot" in request.query else None
    index = query_number(request, "committee_index", 0)
    listed = [
        each.to_json()
        for each in face.chain.attestations.attestations()
        if (slot is None or each.data.slot == slot)
        and ("committee_index" not in request.query or _has_committee(face, each, index))
    ]
    version = face.chain.config.fork.value
    answer = data_answer(listed, version=version)
    answer.headers[VERSION] = version
    return answer


def _has_committee(face: Face, attestation: Any, index: int) -> bool:
    if face.chain.rules.is_electra:
        return index in attestation.committee_bits.indices()
    return bool(attestation.data.index == index)


async def aggregate_attestation(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1 and /eth/v2/validator/aggregate_attestation."""
    text = request.query.get("attestation_data_root", "")
    root = parse_hex(text, size_bytes=32, what="attestation_data_root")
    query_number(request, "slot")
    pool = face.chain.attestations
    known = pool.committees_of(root)
    index = query_number(request, "committee_index", known[0] if known else 0)
    found = pool.aggregate_for(root, index)
    if found is None:
        raise NotFound("find aggregate", root=text)
    if request.path.startswith("/eth/v1"):
        return data_answer(found.to_json())
    return versioned_answer(face, request, found.ssz_type, found)


async def submit_aggregates(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1 and /eth/v2/validator/aggregate_and_proofs."""
    kind = face.chain.rules.types.SignedAggregateAndProof
    return await _submit_each(
        request,
        kind,
        lambda item: aggregates.submit(face.chain, item, face.now_s()),
        check=lambda: check_version(face, request),
    )


async def submit_sync_messages(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/beacon/pool/sync_committees."""
    kind = face.chain.rules.types.SyncCommitteeMessage
    return await _submit_each(
        request, kind, lambda item: aggregates.submit_sync_message(face.chain, item)
    )


async def sync_contribution(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/validator/sync_committee_contribution."""
    text = request.query.get("beacon_block_root", "")
    found = aggregates.sync_contribution(
        face.chain,
        query_number(request, "slot"),
        parse_hex(text, size_bytes=32, what="beacon_block_root"),
        query_number(request, "subcommittee_index"),
    )
    if found is None:
        raise NotFound("find contribution", root=text)
    return data_answer(found.to_json())


async def submit_contributions(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/contribution_and_proofs."""
    kind = face.chain.rules.types.SignedContributionAndProof
    return await _submit_each(
        request, kind, lambda item: aggregates.submit_contribution(face.chain, item)
    )


# Operations: one handler for reading and one for submitting, by the last part of the path.


def _operation(face: Face, request: web.Request) -> tuple[str, Any]:
    """The block field of an operation endpoint, and the type of its items."""
    name = request.path.rpartition("/")[2]
    kinds = {
        "proposer_slashings": "ProposerSlashing",
        "attester_slashings": "AttesterSlashing",
        "voluntary_exits": "SignedVoluntaryExit",
        "bls_to_execution_changes": "SignedBLSToExecutionChange",
    }
    types = face.chain.rules.types
    if kinds[name] not in types:
        raise InputInvalid("use pool", pool=name, reason="the fork does not have it")
    return name, getattr(types, kinds[name])


async def operations(face: Face, request: web.Request) -> web.Response:
    """GET of a pool of operations."""
    name, _kind = _operation(face, request)
    listed = [each.to_json() for each in face.chain.operations.all(name)]
    if not request.path.startswith("/eth/v2"):
        return data_answer(listed)
    version = face.chain.config.fork.value
    answer = data_answer(listed, version=version)
    answer.headers[VERSION] = version
    return answer


async def submit_operation(face: Face, request: web.Request) -> web.Response:
    """POST of one slashing or exit, or of a list of credential changes."""
    check_version(face, request)
    name, kind = _operation(face, request)
    if name == "bls_to_execution_changes":
        return await _submit_each(
            request, kind, lambda item: aggregates.submit_operation(face.chain, name, item)
        )
    value = await read_value(request, kind)
    aggregates.submit_operation(face.chain, name, value)
    return web.Response(status=200)


async def echo_selections(_face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/..._selections: this node holds no shares, so it is not for it."""
    await request.read()
    raise NotFound("combine selections", reason="only distributed validators do")
